"""Lessons 07 to 09 without a pair: what was recorded stands in, and every cell still runs."""

from pathlib import Path
from typing import Any

import pytest

from gemma_mtp_edu import ModelPair, acceptance_profile, lesson
from gemma_mtp_edu.lessons import records
from gemma_mtp_edu.models import compatibility
from gemma_mtp_edu.models.registry import PROMPTS
from tools.lessons import parse_source, sources
from tools.records import record


def test_records_are_those_of_the_bundled_pair(pair: ModelPair) -> None:
    """After a retraining: `make records`."""
    found, prompt = records.read(), PROMPTS["story"][0]
    assert {*found.profiles} == {*records.WORKLOADS}
    assert found.cost.max_gamma == found.profiles["story"].max_gamma == 16
    now = acceptance_profile(pair, prompt, max_new_tokens=64)
    assert found.profiles["story"].token_ids == now.token_ids
    assert found.profiles["story"].n_accepted == now.n_accepted


def test_records_are_written_and_read(pair: ModelPair, tmp_path: Path) -> None:
    file = tmp_path / "recorded.json"
    record(pair, file, max_new_tokens=6, repeats=1)
    found = records.read(file)
    assert {len(profile) for profile in found.profiles.values()} <= {*range(1, 7)}
    assert found.cost.provenance["pair"] == found.profiles["qa"].provenance["pair"] == "pocket"


LESSONS = [path for path in sources() if path.stem[:2] in ("07", "08", "09")]


@pytest.mark.parametrize("source", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_without_a_pair(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> bool:
        raise compatibility.UnsupportedReleaseError("this release runs no pair")

    monkeypatch.setattr(compatibility, "check_release", fail)
    names: dict[str, Any] = {"lesson": lesson, "display": print}
    for cell in parse_source(source.read_text(encoding="utf-8")).cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", []):
            exec(cell.source, names)
    assert names["pair"] is None
    told = capsys.readouterr().out
    assert told.count("No pair runs here: what follows was recorded with pocket on ") == 1
