"""Numbers about traces; no model is needed.

Three quantities that are easily mixed up: the acceptance rate (accepted over drafted, also drafts
that were never verified), alpha (the chance that a verified draft is accepted), tokens per round.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from gemma_mtp_edu.core.trace import GenerationTrace


def alpha(traces: GenerationTrace | Iterable[GenerationTrace]) -> float | None:
    """Return the mean chance that a verified draft is accepted; None where none was verified.

    When sampling it is the mean of sum_x min(p, q) over verified positions, which the records hold.
    Under greedy decoding a verified draft is right or wrong, and it is the share of right ones.

    Source: Leviathan et al. 2023, arXiv:2211.17192, definition 3.1 and corollary 3.6.
    """
    several = traces if isinstance(traces, Iterable) else [traces]
    rounds = [r for trace in several for r in trace.rounds if r.draft_ids]
    if overlaps := [value for r in rounds for value in r.overlaps]:
        return sum(overlaps) / len(overlaps)
    # Verified are the accepted drafts and the first rejected one.
    n_accepted = sum(r.n_accepted for r in rounds)
    n_verified = n_accepted + sum(r.next_kind == "correction" for r in rounds)
    return n_accepted / n_verified if n_verified else None


def wasted_drafts(trace: GenerationTrace) -> int:
    """Return how many drafts did not enter the text."""
    return trace.drafter_passes - trace.n_accepted


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Return the first index at which two texts differ, or None where they are equal.

    >>> first_difference([1, 2, 3], [1, 5, 3]), first_difference([1], [1])
    (1, None)
    """
    return next((i for i, (a, b) in enumerate(zip_longest(one, other)) if a != b), None)
