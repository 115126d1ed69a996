"""The table of hardware says what `load_pair` does."""

import pytest
import torch

from gemma_mtp_edu.models.pairs import choose_dtype
from gemma_mtp_edu.models.registry import PAIRS
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
