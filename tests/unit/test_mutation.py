"""The list of faults still applies, and the runner tells a caught fault from a missed one."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.cases import beside
from tools.mutation.faults import ROOT, TABLE, Fault, StaleFaultError, mutated, page, read_faults

FAULTS = read_faults()
SUBJECTS = (*(ROOT / "gemma_mtp_edu/core").glob("[a-z]*.py"), Path("replay.py"), Path("cost.py"))


def test_there_are_enough_of_them_in_every_subject() -> None:
    assert len(FAULTS) >= 60
    counts = Counter(Path(fault.file).stem for fault in FAULTS)
    assert [path.stem for path in SUBJECTS if counts[path.stem] < 2] == []
    assert len({(fault.file, fault.old, fault.new) for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{Path(fault.file).stem}")
def test_each_fault_is_one_line_that_stands_once_and_leaves_code_that_parses(fault: Fault) -> None:
    before = (ROOT / fault.file).read_text(encoding="utf-8")
    after = mutated(fault, ROOT)
    ast.parse(after)
    lines = [(a, b) for a, b in zip(before.split("\n"), after.split("\n"), strict=True) if a != b]
    assert len(lines) == 1
    assert all((ROOT / name).is_file() for name in fault.tests if name.endswith(".py"))
    assert fault.why


def test_the_stored_table_is_of_these_faults_and_each_is_caught() -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert f"{len(FAULTS)} of {len(FAULTS)} faults are caught" in text
    assert "**" not in text

    def rows(table: str) -> list[str]:
        return [line.rsplit(" | ", 1)[0] for line in table.splitlines() if line[:2] == "| "]

    assert rows(text) == rows(page(dict.fromkeys(FAULTS, "test")))


def test_a_fault_whose_text_moved_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old in ("x = 1", "gone"):
        with pytest.raises(StaleFaultError, match=r"a\.py has [02] times"):
            mutated(Fault("a.py", old, "y", "why", ()), tmp_path)


def run_toy(folder: Path, old: str = "n * 2") -> subprocess.CompletedProcess[str]:
    """Run the runner on a package of two functions."""
    (folder / "toy.py").write_text(
        "import math\n\ndef double(n):\n    return n * 2\n\ndef other(n):\n    return n or 0\n"
    )
    (folder / "test_toy.py").write_text(beside(__file__, ".py.txt"))
    faults = folder / "faults.toml"
    faults.write_text(beside(__file__, ".toml.txt").replace("{caught}", old))
    command = ["-m", "tools.mutation", "--root", folder, "--faults", faults, "--preload"]
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_runner_tells_caught_from_missed_and_from_broken(tmp_path: Path) -> None:
    done = run_toy(tmp_path)
    verdicts = [line.split()[0] for line in done.stdout.splitlines() if " s  toy.py: " in line]
    assert verdicts == ["caught", "missed", "broken"], done.stdout + done.stderr
    assert "1 of 3 faults caught" in done.stdout
    assert done.returncode == 1
    assert "return n * 2" in (tmp_path / "toy.py").read_text(), "the checkout was touched"


def test_the_runner_refuses_a_list_that_no_longer_applies(tmp_path: Path) -> None:
    done = run_toy(tmp_path, old="n * 7")
    assert done.returncode == 2
    assert "has 0 times" in done.stderr
