"""The doctor's report, its questions without a model, and broken installations."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gemma_mtp_edu import checkup
from gemma_mtp_edu.checkup import SIGNS, Finding, Report, Status
from gemma_mtp_edu.lessons import language
from gemma_mtp_edu.lessons import setup as lesson
from gemma_mtp_edu.lessons.language import called, speaking
from gemma_mtp_edu.models.registry import PAIRS
from tests.cases import beside, cases

ROOT = Path(__file__).resolve().parents[2]
STATUSES: tuple[Status, ...] = ("ok", "note", "warning", "fail")
JAPANESE = re.compile("[ぁ-んァ-ヶ一-龠]")
# Names, numbers, calls and others' errors stand for themselves.
PLAIN = re.compile(r"[\w.+-]*|load_pair\(.*\)|CUDA: .*|\w+Error: .*|[\w.+-]+, cpu")


def report(*statuses: Status) -> Report:
    return Report(tuple(Finding("area", s, s, f"found {s}", f"mend {s}") for s in statuses), 1.5)


def untranslated(made: Report) -> list[str]:
    """Return what a Japanese report says in English."""
    with speaking("ja"):
        names = {called(name) for f in made.findings for name in (f.area, f.name)}
    told = [text for f in made.findings for text in (f.found, f.fix)] + sorted(names)
    return [text for text in told if not JAPANESE.search(text) and not PLAIN.fullmatch(text)]


# The report.


@pytest.mark.parametrize(
    ("statuses", "code"), [((), 0), (STATUSES[:3], 0), (("ok", "fail"), 1), (("fail",), 1)]
)
def test_only_a_failure_is_an_exit_code(statuses: tuple[Status, ...], code: int) -> None:
    made = report(*statuses)
    content = json.loads(made.to_json())
    assert (made.exit_code, content["exit_code"], content["runs"]) == (code, code, not code)
    assert ("CANNOT" in str(made)) == bool(code)


def test_text_and_json_say_each_status_with_its_fix() -> None:
    text, content = str(report(*STATUSES)), json.loads(report(*STATUSES).to_json())
    for status in STATUSES:
        assert f"{SIGNS[status]} {status}" in text and f"-> mend {status}" in text
    assert (content["schema"], content["language"]) == (1, "en")
    fail = {"area": "area", "name": "fail", "status": "fail"}
    assert content["findings"][3] == {**fail, "found": "found fail", "fix": "mend fail"}


def test_a_notebook_shows_counts_and_what_is_wrong() -> None:
    short = repr(report(*STATUSES, "ok"))
    assert "2 ok, 1 note, 1 warning, 1 fail" in short and "CANNOT" in short
    assert "found warning" in short and "-> mend fail" in short
    assert "found note" not in short and "found ok" not in short


def test_no_token_home_or_command_of_a_terminal_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret-token")
    told = f"{Path.home()}/x secret-token hf_AbCdEfGhIjKlMnOpQrSt \x1b[2J\u202e"
    assert Finding("a", "b", "note", told).found == r"~/x hf_*** hf_*** \x1b[2J\u202e"


# Questions.


def asked(question: Any) -> list[Finding]:
    return [Finding("machine", *answer) for answer in question()]


def test_one_command_brings_all_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    have = lesson.installed()
    for name in ("torch", "tqdm"):
        have.pop(name, None)
    have["numpy"], have["packaging"] = "1.26.4", "1.0"
    lines = ["torch>=2.8", "tqdm>=4.66", "numpy>=2", "packaging>=24"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    monkeypatch.setattr(lesson, "installed", lambda: have)
    python, finding = asked(checkup._packages)
    assert python.status == "ok"
    assert (finding.status, finding.found) == ("fail", "not installed: torch, tqdm, packaging")
    assert finding.fix.startswith("pip install ") and finding.fix.count("pip") == 1
    assert "numpy" not in finding.fix, "never replaced"
    have.update(torch="2.10.0", tqdm="4.67", packaging="25.0")
    assert [f.status for f in asked(checkup._packages)] == ["ok", "warning", "ok"]


@cases
def test_which_pairs_fit_in_which_dtype(
    free: float, device: str, status: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gemma_mtp_edu.models import memory, pairs

    monkeypatch.setattr(pairs, "choose_device", lambda: torch.device(device))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    monkeypatch.setattr(memory, "free_memory", lambda _: int(free))
    found = {f.name: f for f in asked(checkup._pairs)}
    assert [*found] == ["threads", *PAIRS] and "pocket takes 1" in found["threads"].found
    assert {name: found[name].status for name in status} == status
    assert any(words in found[name].found for name in status)
    if (free, device) == (16e9, "cpu"):
        assert found["E2B"].fix == 'load_pair("E2B", dtype="bfloat16")'


@pytest.mark.parametrize("release", ["5.22.2", "5.23.0", "4.0"])
def test_the_installed_release_has_its_table(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: release)
    found = {f.name: f for f in asked(checkup._release)}
    if release == "4.0":
        assert found["release"].found == "4.0 is untested"
    else:
        works = release == "5.22.2"
        assert found["builds a drafter"].status == ("ok" if works else "note")
        assert not works or found["samples without bias"].fix == "lesson 05 shows it"


def test_a_lesson_shows_without_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [f.status for f in asked(checkup._widgets)] == ["ok", "ok"]

    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert [f.status for f in asked(checkup._widgets)] == ["ok", "note"]
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    (found,) = [f for f in checkup.doctor().findings if f.area == "notebook"]
    assert (found.status, "pip install" in found.fix) == ("warning", True)


def test_texts_that_differ_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import gemma_mtp_edu

    def wrote(*ids: int) -> Any:
        return lambda *_, **__: SimpleNamespace(token_ids=ids)

    monkeypatch.setattr(gemma_mtp_edu, "load_pair", lambda: SimpleNamespace(device="cpu"))
    for name, ids in {"reference": (1, 2), "autoregressive": (1, 2), "speculative": (1, 3)}.items():
        monkeypatch.setattr(gemma_mtp_edu, f"{name}_generate", wrote(*ids))
    assert [f.status for f in asked(checkup._both_loops)] == ["ok", "fail"]


def test_whatever_a_question_raises_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def leaving() -> Any:
        raise SystemExit("goodbye\nsecond line")

    def absent() -> Any:
        raise ModuleNotFoundError("No module named 'x.y'", name="x.y")

    for name in ("_packages", "_torch", "_pairs", "_widgets", "_release"):
        monkeypatch.setattr(checkup, name, leaving)
    monkeypatch.setattr(checkup, "_torch", absent)
    made = {f.name: f for f in checkup.doctor().findings}
    assert (made["packages"].status, made["packages"].found) == ("fail", "SystemExit: goodbye")
    assert made["torch"].fix.startswith('pip install "x"')
    assert made["same text with a drafter"].found == "not checked: needs packages"
    monkeypatch.setattr(checkup, "_packages", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        checkup.doctor()


# Broken installations, each in a Python of its own.

ABSENT = {
    "torch": "import sys; sys.modules['torch'] = None",
    "transformers": "import sys; sys.modules['transformers'] = None",
    "packages": beside(__file__, ".py.txt"),
}


def examine(code: str, folder: Path | None = None, lang: str = "en") -> tuple[int, Report]:
    """Run the doctor after some code, and return exit code and report."""
    ask = "import runpy; sys.argv = ['x', 'doctor', '--json']; runpy.run_module('gemma_mtp_edu', "
    paths = [str(path) for path in (folder, ROOT) if path is not None]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{ask}run_name='__main__')"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), language.VARIABLE: lang},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    content = json.loads(done.stdout)
    findings = tuple(Finding(**finding) for finding in content["findings"])
    return done.returncode, Report(findings, content["seconds"], content["language"])


@pytest.mark.parametrize("absent", ABSENT)
def test_it_reports_what_is_absent(absent: str) -> None:
    """In Japanese, and where even the command line's own packages are not there."""
    code, made = examine(ABSENT[absent], lang="ja")
    failed = [finding for finding in made.findings if finding.status == "fail"]
    assert (code, made.language, "pip install" in failed[0].fix) == (1, "ja", True)
    assert absent == "packages" or absent in failed[0].fix
    found = {finding.name: finding for finding in made.findings}
    assert found["Python"].status == "ok"
    assert found["same text with a drafter"].found.startswith("未確認: 先に「")
    assert all(finding.fix for finding in failed)
    assert untranslated(made) == []
    for told in (str(made), repr(made)):
        assert "このコースはまだここでは動きません" in told


@cases
def test_it_reports_what_is_broken(package: str, text: str, told: str, tmp_path: Path) -> None:
    """What stands in the package's place, and what is told of it."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(text)
    code, made = examine("", tmp_path)
    found = next(finding for finding in made.findings if finding.status == "fail")
    assert (code, told in found.found, bool(found.fix)) == (1, True, True), found
