"""What rounds cost in plain passes, the time in which plain decoding writes one token."""

from collections.abc import Callable
from typing import Any

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.core.arguments import got, real
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr

Price = Callable[[int], float]


def round_price(cost: CostModel | float, cost_ratio: float | None = None) -> Price:
    """Return what a round of that many drafts costs, in plain passes.

    Args:
        cost: A measured machine, taken at its shortest context; or the cost of a draft, with a
            verify pass that costs as much as a plain one.
        cost_ratio: The cost of a draft in plain passes, in place of the machine's own.

    Raises:
        ValueError: The cost of a draft is negative or not a number.

    >>> round_price(0.1)(4)
    1.4
    """
    ratio = draft_cost(cost) if cost_ratio is None else _passes(cost_ratio, "cost_ratio")
    if not isinstance(cost, CostModel):
        return lambda n_drafted: 1.0 + ratio * n_drafted
    plain, rest = cost.plain(), cost.rest()
    return lambda n_drafted: ratio * n_drafted + (cost.verify(n_drafted + 1) + rest) / plain


def draft_cost(cost: CostModel | float) -> float:
    """Return the cost of a draft in plain passes.

    Raises:
        ValueError: It is negative or not a number.
    """
    if isinstance(cost, CostModel):
        return cost.drafter_step() / cost.plain()
    return _passes(cost, "cost")


def _passes(value: Any, name: str) -> float:
    needed = tr("the plain passes that a draft costs, 0 or more, such as 0.1")
    if name == "cost":
        needed = tr("{passes}, or a CostModel", passes=needed)
    passes = real(value, name, needed)
    if not 0.0 <= passes < float("inf"):
        raise ValueError(got(value, name, needed))
    return passes


def longest_draft(profile: AcceptanceProfile, cost: CostModel | float) -> int:
    """Return the most drafts per round that are known of both the text and the machine."""
    return min(profile.max_gamma, cost.max_gamma if isinstance(cost, CostModel) else 10**9)


def rounds_cost(trace: GenerationTrace, price: Price) -> float:
    """Return what all rounds after the prefill cost, in plain passes."""
    return sum(price(len(record.draft_ids)) for record in trace.draft_rounds)


def trace_speedup(trace: GenerationTrace, cost: float) -> float:
    """Return how many times as fast as plain decoding rounds of this cost, in plain passes, are."""
    # The prefill's token is no round's; a text of that one token has nothing to speed up.
    return (len(trace.token_ids) - 1) / cost if cost else 1.0
