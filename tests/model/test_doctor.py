"""The doctor on a working installation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers.utils import logging

from gemma_mtp_edu import doctor
from gemma_mtp_edu.checkup import LIBRARY, Report
from gemma_mtp_edu.lessons.language import speaking
from gemma_mtp_edu.models.registry import PAIRS
from tests.unit.test_checkup import untranslated

ROOT = Path(__file__).resolve().parents[2]


def state() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), torch.get_num_threads(), logging.get_verbosity()


@pytest.fixture(scope="module")
def report() -> Report:
    before = state()
    made = doctor()
    assert state() == before
    return made


def test_the_course_runs_here(report: Report) -> None:
    assert report.exit_code == 0, report
    found = {finding.name: finding for finding in report.findings}
    assert {*PAIRS, *LIBRARY} <= set(found)
    assert found["same text with a drafter"].found == "32 of 32 tokens"
    assert found["samples without bias"].status == "note"


def test_all_of_it_can_be_had_in_japanese(report: Report) -> None:
    with speaking("ja"):
        japanese = doctor()
    assert untranslated(japanese) == []
    both = zip(japanese.findings, report.findings, strict=True)
    assert all((a.area, a.name, a.status) == (b.area, b.name, b.status) for a, b in both)


def test_the_command_prints_nothing_but_the_report(tmp_path: Path) -> None:
    """Neither what a library prints, nor a folder of this machine."""
    (tmp_path / "tqdm.py").write_text("print('LOUD')\nclass tqdm: pass\n")
    command = [sys.executable, "-m", "gemma_mtp_edu", "doctor", "--json"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == json.loads(done.stdout)["exit_code"]
    assert "LOUD" not in done.stdout + done.stderr
    assert str(ROOT) not in done.stdout and str(Path.home()) not in done.stdout
