"""What an environment of chosen packages takes along."""

import importlib.metadata

import pytest

from tests.cases import tables
from tools import fresh_environment

NEEDS = tables(__file__)


def test_extras_that_are_asked_for_come_along(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        if name not in NEEDS:
            raise importlib.metadata.PackageNotFoundError
        return NEEDS[name]

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    everything = {"torch", "toolkit", "cublas", "cufile"}
    assert fresh_environment.closure(["Torch"]) == everything
    assert fresh_environment.closure(["torch"], without=["cublas"]) == everything - {"cublas"}
