"""The registry: names are found in any case, and misspelt ones get a suggestion."""

import pytest

from gemma_mtp_edu.models.registry import PAIRS, find, nearest


@pytest.mark.parametrize("name", ["E2B", "e2b", "google/gemma-4-E2B-it", "GOOGLE/gemma-4-e2b-IT"])
def test_names_and_ids_are_found_in_any_case(name: str) -> None:
    info = find(name)
    assert info is not None
    assert info.drafter_id == "google/gemma-4-E2B-it-assistant"


@pytest.mark.parametrize("name", ["E3B", "google/gemma-3-E2B-it", ""])
def test_unknown_names_are_not_found(name: str) -> None:
    assert find(name) is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("pokcet", "pocket"),
        ("google/gemma4-E2B-it", "google/gemma-4-E2B-it"),
        ("26B-A4", "26B-A4B"),
    ],
)
def test_misspelt_names_get_a_suggestion(typed: str, meant: str) -> None:
    assert nearest(typed) == meant


def test_a_far_name_gets_none() -> None:
    assert nearest("bert-base-uncased") is None


def test_every_pair_has_its_figures() -> None:
    for info in PAIRS.values():
        assert info.memory_gb > 0
        assert info.draft_length >= 1
        assert info.source
