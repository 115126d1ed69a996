"""Releases are stated in several files, each for a reader of its own; they agree."""

import os
import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gemma_mtp_edu import __version__
from gemma_mtp_edu.models.compatibility import NEWEST, REQUIREMENT
from tests.cases import cases, posix

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = chain.from_iterable(PROJECT["optional-dependencies"].values())
DECLARED = [Requirement(line) for line in (*PROJECT["dependencies"], *EXTRAS)]


def lines(name: str) -> list[str]:
    """Return the requirement lines of a pip file, without comments and options."""
    text = (ROOT / name).read_text(encoding="utf-8")
    stripped = [line.split(" #")[0].strip() for line in text.splitlines()]
    return [line for line in stripped if line and not line.startswith(("#", "-"))]


def pins() -> dict[str, str]:
    """Return the exact releases that CI uses."""
    pairs = [line.split("==") for line in lines("constraints.txt")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_learners_get_the_packages_and_ranges_of_the_project() -> None:
    wanted = "jupyterlab torch transformers accelerate ipywidgets matplotlib nbval".split()
    listed = {r.name: str(r.specifier) for r in map(Requirement, lines("requirements.txt"))}
    declared = {requirement.name: str(requirement.specifier) for requirement in DECLARED}
    assert listed == {name: declared[name] for name in wanted}


def test_the_package_itself_says_the_same_about_transformers() -> None:
    (declared,) = [r for r in DECLARED if r.name == "transformers"]
    assert Requirement(REQUIREMENT).specifier == declared.specifier
    assert str(NEWEST) == pins()["transformers"]


def test_version_stands_once_in_two_places() -> None:
    assert PROJECT["version"] == __version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(__version__)}\b", changelog, re.MULTILINE)


@pytest.mark.parametrize("requirement", DECLARED, ids=lambda requirement: requirement.name)
def test_pins_lie_in_the_ranges(requirement: Requirement) -> None:
    version = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


@pytest.mark.parametrize("requirement", DECLARED, ids=lambda requirement: requirement.name)
def test_nothing_that_a_learner_has_is_too_new(requirement: Requirement) -> None:
    assert {clause.operator for clause in requirement.specifier} <= {">=", "!="}


def test_no_two_test_files_share_a_name() -> None:
    """Folders of tests are no packages, so pytest imports each file by its name alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) > 50
    assert sorted(names) == sorted(set(names))


def test_binder_takes_the_pins_and_a_cpu_torch() -> None:
    text = (ROOT / "binder" / "requirements.txt").read_text(encoding="utf-8")
    assert "-c ../constraints.txt" in text
    assert f"torch=={pins()['torch']}+cpu" in text


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A folder whose `python` prints its arguments, each on a line between marks."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nprintf '<%s>\\n' \"$@\"\n")
    python.chmod(0o755)
    return tmp_path


@posix
@cases
def test_make_demo_hands_over_any_prompt(prompt: str, stub: Path) -> None:
    command = ["make", "--no-print-directory", "demo", "READY=", f"BIN={stub}", f"PROMPT={prompt}"]
    assert run(command).stdout == f"<-m>\n<gemma_mtp_edu>\n<demo>\n<--prompt={prompt}>\n"


@posix
def test_make_says_what_to_do_about_an_old_python(stub: Path) -> None:
    # A "python" that answers every question with failure is one that is too old.
    (stub / "python").write_text("#!/bin/sh\nexit 1\n")
    command = ["make", "setup", f"READY={stub}/ready", f"PYTHON={stub}/python"]
    done = run(command)
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr
    assert "make setup PYTHON=" in done.stderr


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, not as a part of the make that runs the tests."""
    env = {key: v for key, v in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
