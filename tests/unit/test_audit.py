"""The look at the pinned packages: what it can know offline, and that it claims no more."""

import json
from pathlib import Path

import pytest

from tools import audit

VULNERABLE = {
    "name": "b", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}],
}  # fmt: skip
SOUND = {"name": "a", "version": "1.0", "vulns": []}
SKIPPED = {"name": "c", "skip_reason": "not found"}


def test_our_pins_are_exact() -> None:
    assert audit.pin_problems(audit.PINS.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("numpy>=2", "exact release"),
        ("numpy", "exact release"),
        ("numpy==2.*", "exact release"),
        ("numpy==2.0,<3", "exact release"),
        ("numpy @ https://example.org/numpy.whl", "exact release"),
        ("numpy==2.0; python_version>'3'", "alone"),
        ("numpy[x]==2.0", "alone"),
        ("numpy==2.0rc1", "final release"),
        ("numpy==2.0+cpu", "final release"),
        ("./numpy.whl", "not a requirement"),
        ("-r other.txt", "not a requirement"),
        ("numpy==2.0\nNumPy==2.1", "pinned 2 times"),
    ],
)
def test_other_lines_are_named(line: str, problem: str) -> None:
    (found,) = audit.pin_problems(f"# a comment\n{line}\nscipy==1.0  # and one more")
    assert problem in found


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], audit.SOUND, "Asked about 1 of 1 packages, 0 known"),
        ([SOUND, VULNERABLE], audit.HARMED, "b 1.0: PYSEC-1, fixed in 1.1"),
        ([SOUND, SKIPPED], audit.UNKNOWN, "NOT CHECKED: c"),
        ([SKIPPED, VULNERABLE], audit.HARMED, "PYSEC-1"),
        (None, audit.UNKNOWN, "pip-audit did not run"),
    ],
)
def test_what_was_not_asked_is_not_called_sound(
    packages: list | None, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "pip-audit"
    if packages is not None:
        (tmp_path / "report.json").write_text(json.dumps({"dependencies": packages}))
        program.write_text(f"#!/bin/sh\ncat '{tmp_path}/report.json'\n")
        program.chmod(0o755)
    assert audit.main(program) == code
    assert said in capsys.readouterr().out
