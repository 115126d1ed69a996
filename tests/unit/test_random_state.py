"""What draws from the global generators puts their state back, on every kind of device."""

import pytest
import torch

from gemma_mtp_edu.analysis.reference import drawing


class Interrupted(BaseException):
    """What no handler may swallow."""


def test_the_state_comes_back_after_an_interrupt_too() -> None:
    before, drawn = torch.get_rng_state(), list[torch.Tensor]()

    def draw() -> None:
        with drawing(torch.device("cpu"), 3):
            drawn.append(torch.rand(4))
            raise Interrupted

    for _ in range(2):
        with pytest.raises(Interrupted):
            draw()
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*drawn)


def test_apple_s_generator_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    states = ["before"]
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: states[-1])
    monkeypatch.setattr(torch.mps, "set_rng_state", states.append)

    def draw() -> None:
        with drawing(torch.device("mps"), 3):
            states.append("drawn from")
            raise Interrupted

    with pytest.raises(Interrupted):
        draw()
    assert states == ["before", "drawn from", "before"]
    with drawing(torch.device("mps"), None):
        states.append("drawn from")
    assert states[-1] == "drawn from", "without a seed it draws on"
