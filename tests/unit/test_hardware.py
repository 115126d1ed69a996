"""The registry finds names in any case, and the table of hardware says what `load_pair` does."""

import pytest
import torch

from gemma_mtp_edu.models.pairs import choose_dtype
from gemma_mtp_edu.models.registry import PAIRS, find, hint
from tests.cases import cases
from tools.hardware import PLACES, Place, fits, table


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_dtypes_are_those_that_are_chosen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: place.capability)
    device = torch.device("cuda" if place.capability else "cpu")
    assert choose_dtype(device) == getattr(torch, place.dtype)


@cases
def test_what_fits_where(name: str, place: str, expected: bool) -> None:
    (found,) = [p for p in PLACES if p.name == place]
    assert fits(PAIRS[name], found) is expected


def test_every_pair_has_a_row() -> None:
    rows = table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(PAIRS)
    assert len({row.count("|") for row in table().splitlines()}) == 1


# The registry.


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
