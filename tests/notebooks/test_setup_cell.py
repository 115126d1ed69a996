"""The setup cell fetches the course alone; what else it needs is brought by the package."""

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from gemma_mtp_edu import lesson
from gemma_mtp_edu.lessons.setup import NotReadyError
from gemma_mtp_edu.models.compatibility import UnsupportedReleaseError
from tests.cases import cases, tables
from tools.buttons import setup_cell
from tools.lessons import ROOT, sources

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = [Requirement(line) for line in PROJECT["dependencies"]]
SERVICE_VARIABLES = (
    "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE", "BINDER_REPO_URL", "VSCODE_PID",
)  # fmt: skip


class Pip:
    """Stands in for pip: records its commands and constraints, and ends as it is told."""

    def __init__(self, returncode: int = 0, stderr: str = "") -> None:
        self.done = SimpleNamespace(returncode=returncode, stderr=stderr)
        self.commands: list[list[str]] = []
        self.pins: set[str] = set()

    def __call__(self, command: list[str], **options: object) -> SimpleNamespace:
        self.commands.append(command)
        if "--constraint" in command:
            pins = Path(command[command.index("--constraint") + 1])
            self.pins = set(pins.read_text(encoding="utf-8").split())
        return self.done


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Pip:
    stand_in = Pip()
    monkeypatch.setattr(subprocess, "run", stand_in)
    return stand_in


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SERVICE_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def run_cell(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Run the cell, and return what it called."""
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(lesson, "setup", lambda: calls.append(("setup",)))
    shell = SimpleNamespace(run_line_magic=lambda *words: calls.append(words))
    exec(setup_cell("me/fork"), {"get_ipython": lambda: shell})
    return calls


def test_nothing_is_fetched_where_the_package_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_cell(monkeypatch) == [("setup",)]


def test_the_cell_fetches_the_course_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    install = "install -q --no-deps git+https://github.com/me/fork"
    assert run_cell(monkeypatch) == [("pip", install), ("setup",)]


@cases
def test_only_a_course_from_git_was_fetched_by_the_cell(
    origin: str | None, is_fetched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = SimpleNamespace(read_text=lambda name: origin)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: course)
    assert lesson.fetched() == is_fetched


def test_only_what_is_missing_or_unsuitable_is_installed(
    pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tables(__file__)["what Colab had in June 2026"]
    monkeypatch.setattr(lesson, "installed", lambda: there)
    lesson.bring(NEEDED, "Runtime > Restart session")
    (command,) = pip.commands
    wanted = [Requirement(word).name for word in command[command.index("--constraint") + 2 :]]
    assert wanted == ["transformers", "jaxtyping"]
    # transformers decides about those of its makers; all else must stay.
    free = {"accelerate", "safetensors", "transformers", "huggingface-hub"}
    assert pip.pins == {f"{name}=={there[name]}" for name in there.keys() - free}


@cases
def test_one_sentence_says_which_kept_package_is_unsuitable(
    pip: Pip, monkeypatch: pytest.MonkeyPatch, name: str, release: str
) -> None:
    monkeypatch.setattr(lesson, "installed", lambda: {name: release})
    with pytest.raises(NotReadyError) as caught:
        lesson.bring(NEEDED, "Runtime > Restart session")
    assert pip.commands == []
    (needed,) = [str(r) for r in NEEDED if r.name == name]
    assert caught.value._render_traceback_() == [
        f'this runtime has {name} {release}, but the course needs {needed}: run  %pip install "'
        f'{needed}"  or take a newer runtime, then restart (Runtime > Restart session) and run '
        "this cell again"
    ]


@cases
def test_one_sentence_says_that_pip_failed(
    monkeypatch: pytest.MonkeyPatch, stderr: str, said: str
) -> None:
    monkeypatch.setattr(subprocess, "run", Pip(1, stderr))
    monkeypatch.setattr(lesson, "installed", lambda: {"numpy": "2.0.2"})
    needed = [Requirement("numpy>=2,<3"), Requirement("safetensors>=0.6")]
    with pytest.raises(NotReadyError, match=f"could not install safetensors>=0.6: .*{said}"):
        lesson.bring(needed, "here")


def test_only_hosted_services_and_new_installs_are_changed(
    pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson, "requirements", lambda: [Requirement("no-such-package>=1")])
    lacks = 'lacks "no-such-package>=1": run  %pip install "no-such-package>=1"  and restart'
    for fetched, variable, runs in tables(__file__)["calls of pip so far"]:
        monkeypatch.setattr(lesson, "fetched", lambda fetched=fetched: fetched)
        with monkeypatch.context() as patch:
            if variable:
                patch.setenv(variable, "x")
            with pytest.raises(NotReadyError, match=lacks):
                lesson.setup()
        assert len(pip.commands) == runs


@cases
def test_each_place_is_known_and_says_how_to_restart(
    pip: Pip, monkeypatch: pytest.MonkeyPatch, place: str, variables: list[str], how: str
) -> None:
    for name in variables:
        monkeypatch.setenv(name, "x")
    assert lesson.place() == place
    # What transformers loads is as old as it, but one sentence names one module.
    for name in ("tokenizers", "transformers"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(__version__="5.19.0"))
    with pytest.raises(NotReadyError) as caught:
        lesson.setup()
    assert str(caught.value) == (
        f"transformers 5.19.0 was imported before {version('transformers')} was installed: "
        f"restart the runtime ({how}) and run this cell again"
    )


def test_an_unsuitable_release_is_refused_where_nothing_is_installed(
    pip: Pip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson, "installed", lambda: {"transformers": "5.19.0"})
    with pytest.raises(UnsupportedReleaseError, match=r"got transformers 5\.19\.0"):
        lesson.setup()


def test_forms_of_colab_offer_what_the_code_says() -> None:
    """A form is a comment elsewhere; its kind or choices must hold the value before it."""
    text = "\n".join(source.read_text(encoding="utf-8") for source in sources())
    lines = re.findall(r"^.*@param.*$", text, re.MULTILINE)
    assert lines
    for line in lines:
        match = re.fullmatch(r"[A-Z_]+ = (.+?)  # @param (\[.+\]|\{type:\"\w+\"\})", line)
        assert match, line
        kind = {"int": '{type:"integer"}', "str": '{type:"string"}'}
        value = ast.literal_eval(match[1])
        assert match[2] == kind[type(value).__name__] or value in ast.literal_eval(match[2]), line
