"""The registry: names are found in any case, and misspelt ones get a suggestion."""

import pytest

from gemma_mtp_edu.models.registry import PAIRS, find, hint
from tests.cases import cases


@pytest.mark.parametrize("name", ["E2B", "e2b", "google/gemma-4-E2B-it", "GOOGLE/gemma-4-e2b-IT"])
def test_names_and_ids_are_found_in_any_case(name: str) -> None:
    info = find(name)
    assert info is not None
    assert info.drafter_id == "google/gemma-4-E2B-it-assistant"


@cases
def test_misspelt_names_are_not_found_but_get_a_suggestion(typed: str, meant: str | None) -> None:
    assert find(typed) is None
    assert hint(typed) == (f" Did you mean {meant!r}?" if meant else "")


def test_every_pair_has_its_figures() -> None:
    for info in PAIRS.values():
        assert min(info.memory_gb, info.draft_length, info.target, info.drafter) > 0
