"""The exact law of the token that a draft-and-verify loop emits, found by forcing its draws.

Nothing is sampled: every random draw of a run is answered, and what it was drawn from is written
down. The chance that a draft is kept is the point where forced uniforms turn from kept to rejected.
So the law follows from the loop's own accept rule, whatever that is, and no test statistic is
needed. It works on any loop in torch, the library's included, because `TorchFunctionMode` sees each
call of torch on this thread; nothing is replaced.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

_PRECISION = 1e-5
_ALMOST_ONE = 1 - 1e-7
_UNIFORMS = (torch.rand, torch.rand_like)

# Writes a first token and a second one, which comes of one draft; returns both.
Loop = Callable[[], tuple[int, ...]]


class ForcedDraws(TorchFunctionMode):
    """Answers every draw on this thread while it is entered.

    Args:
        uniform: What uniform draws give.
        choices: What multinomial draws give, in their order; after them the most probable token.

    Attributes:
        laws: What the multinomial draws were from, in their order.
    """

    def __init__(self, uniform: float, choices: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.uniform, self.choices = uniform, choices
        self.laws: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Answer a draw; let every other call through."""
        result = func(*args, **(kwargs or {}))
        if func in _UNIFORMS:
            return result.fill_(self.uniform)
        if func is torch.multinomial:
            law = args[0].detach().double().reshape(-1, args[0].shape[-1])[-1]
            number = len(self.laws)
            chosen = self.choices[number] if number < len(self.choices) else int(law.argmax())
            self.laws.append(law / law.sum())
            return result.fill_(chosen)
        return result


def emitted_law(loop: Loop, first: int) -> Float[Tensor, " vocab"]:
    """Return the exact law of a loop's second token, where the first one is `first`.

    Args:
        loop: Runs it for three tokens at most with one draft per round, with sampling on.
        first: A token that the target may write first.

    Source: Leviathan et al. 2023, arXiv:2211.17192, appendix A.1; here the rule is observed.
    """
    with torch.random.fork_rng(devices=[]):
        with ForcedDraws(0.0, (first,)) as draws:
            kept = loop()[1]
        # Draws of the first token, of the draft, and of the token after it; unless it is an argmax.
        if len(draws.laws) > 2:
            drafts, before = enumerate(draws.laws[1].tolist()), 2
        else:
            drafts, before = enumerate(one_at(kept, draws.laws[0]).tolist()), 1
        emitted = torch.zeros_like(draws.laws[0])
        for draft, weight in drafts:
            if weight > 0:
                chance, instead = _judged(loop, (first, draft)[:before])
                emitted += weight * (chance * one_at(draft, emitted) + (1 - chance) * instead)
    return emitted


def one_at(token: int, like: Float[Tensor, " vocab"]) -> Float[Tensor, " vocab"]:
    """Return the law with all its mass on one token."""
    law = torch.zeros_like(like)
    law[token] = 1.0
    return law


def total_variation(law: Float[Tensor, " vocab"], other: Float[Tensor, " vocab"]) -> float:
    """Return the largest difference in probability that two laws give to any event.

    >>> round(total_variation(torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.2])), 3)
    0.3
    """
    return float((law - other).abs().sum() / 2)


def _judged(loop: Loop, choices: tuple[int, ...]) -> tuple[float, Float[Tensor, " vocab"]]:
    """Return the chance that the draft is kept, and the law of the token in its place."""
    with ForcedDraws(0.0, choices) as draws:
        draft = loop()[1]
    low, high, instead = 0.0, 2.0, draws.laws[0]  # above 1: not rejected yet
    while high - low > _PRECISION:
        middle = min((low + high) / 2, _ALMOST_ONE)
        with ForcedDraws(middle, choices) as draws:
            is_kept = loop()[1] == draft
        if is_kept and middle == _ALMOST_ONE:
            return 1.0, instead
        if is_kept:
            low = middle
        else:
            high, instead = middle, draws.laws[len(choices)]
    return (low + high) / 2, instead
