"""The exact distribution of the token that a draft-and-verify loop emits, found by forcing draws.

Nothing is sampled: every random draw of a run is answered, and what it was drawn from is written
down. The chance that a draft is kept is the point where forced uniforms turn from kept to rejected.
So it follows from the loop's own accept rule, whatever that is, and no test statistic is needed. It
works on any loop in torch, the library's included: `TorchFunctionMode` sees each call of torch.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_PRECISION = 1e-5
_ALMOST_ONE = 1 - 1e-7

# Writes a first token and a second one, which comes of one draft; returns both.
Loop = Callable[[], tuple[int, ...]]


class ForcedDraws(TorchFunctionMode):
    """Answers every draw, uniform ones by `uniform`, and keeps what was drawn from.

    Multinomial ones give `choices` in their order, and after them the most probable token.
    """

    def __init__(self, uniform: float, choices: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.uniform, self.choices = uniform, choices
        self.drawn_from: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.rand, torch.rand_like):
            return result.fill_(self.uniform)
        if func is torch.multinomial:
            probs = args[0].detach().double().reshape(-1, args[0].shape[-1])[-1]
            number = len(self.drawn_from)
            chosen = self.choices[number] if number < len(self.choices) else int(probs.argmax())
            self.drawn_from.append(probs / probs.sum())
            return result.fill_(chosen)
        return result


def observed_distribution(loop: Loop, first: int) -> Tensor:
    """Return the exact distribution of a loop's second token, where the first one is `first`.

    The loop writes three tokens at most with one draft per round, with sampling on.
    """
    with torch.random.fork_rng(devices=[]):
        with ForcedDraws(0.0, (first,)) as draws:
            kept = loop()[1]
        # Draws of the first token, of the draft, and of the token after it; unless it is an argmax.
        drawn = len(draws.drawn_from) > 2
        drafts = draws.drawn_from[1] if drawn else one_at(kept, draws.drawn_from[0])
        emitted = torch.zeros_like(draws.drawn_from[0])
        for draft, weight in enumerate(drafts.tolist()):
            if weight > 0:
                chance, instead = _verified(loop, (first, draft)[: 1 + drawn])
                emitted += weight * (chance * one_at(draft, emitted) + (1 - chance) * instead)
    return emitted


def one_at(token: int, like: Tensor) -> Tensor:
    """Return the distribution with all its mass on one token."""
    probs = torch.zeros_like(like)
    probs[token] = 1.0
    return probs


def total_variation(one: Tensor, other: Tensor) -> float:
    """Return the largest difference in probability that two distributions give to any event."""
    return float((one - other).abs().sum() / 2)


def _verified(loop: Loop, choices: tuple[int, ...]) -> tuple[float, Tensor]:
    """Return the chance that the draft is kept, and what the token in its place is drawn from."""
    with ForcedDraws(0.0, choices) as draws:
        draft = (loop()[1], *choices[1:])[-1]  # one with probability 0 is never kept
    low, high, instead = 0.0, 2.0, draws.drawn_from[0]  # above 1: not rejected yet
    while high - low > _PRECISION:
        middle = min((low + high) / 2, _ALMOST_ONE)
        with ForcedDraws(middle, choices) as draws:
            is_kept = loop()[1] == draft
        if is_kept and middle == _ALMOST_ONE:
            return 1.0, instead
        if is_kept:
            low = middle
        else:
            high, instead = middle, draws.drawn_from[len(choices)]
    return (low + high) / 2, instead
