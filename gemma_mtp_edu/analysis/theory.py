"""What the paper predicts from one number, alpha: tokens per round, speedup, the best draft length.

The model behind it: each draft is right with the same probability alpha, whatever came before.
Times are relative to a plain pass of the target; `verify_cost` gives that of a verify pass over so
many tokens, by default the paper's assumption that it costs what a plain pass does.

Source: Leviathan et al. 2023, arXiv:2211.17192.
"""

from bisect import bisect_left
from collections.abc import Callable

VerifyCost = Callable[[int], float]


def free_verify(n_tokens: int) -> float:
    """Return 1."""
    return 1.0


def expected_tokens(alpha: float, gamma: int) -> float:
    """Return the expected tokens of a round: accepted drafts and the target's own token.

    It is (1 - alpha^(gamma + 1)) / (1 - alpha), which is gamma + 1 for alpha 1.

    Source: Leviathan et al. 2023, arXiv:2211.17192, equation 1.

    >>> expected_tokens(0.5, 2)  # 1 + 1/2 + 1/4
    1.75
    >>> expected_tokens(1.0, 4), expected_tokens(0.0, 4)
    (5.0, 1.0)
    """
    # As a sum: the closed form divides by zero at 1 and loses digits near it.
    return sum((alpha**k for k in range(1, gamma + 1)), 1.0)


def expected_speedup(
    alpha: float, gamma: int, cost_ratio: float, verify_cost: VerifyCost = free_verify
) -> float:
    """Return how many times as fast as plain decoding rounds of `gamma` drafts are.

    Args:
        alpha: Probability that the target accepts a draft, 0 to 1.
        gamma: Drafts per round; 0 is plain decoding, so 1.
        cost_ratio: Time of a drafter step over that of a plain pass, the paper's c; 0 or more.
        verify_cost: Measured cost of a verify pass over `gamma + 1` tokens, instead of free.

    Source: Leviathan et al. 2023, arXiv:2211.17192, theorem 3.8.

    >>> round(expected_speedup(0.8, 4, 0.1), 3)  # 3.3616 tokens in 1.4 plain passes
    2.401
    >>> round(expected_speedup(0.8, 4, 0.1, lambda n: 1 + 0.1 * (n - 1)), 3)
    1.868
    """
    if gamma == 0:
        return 1.0
    return expected_tokens(alpha, gamma) / (gamma * cost_ratio + verify_cost(gamma + 1))


def best_gamma(
    alpha: float, cost_ratio: float, verify_cost: VerifyCost = free_verify, *, max_gamma: int = 16
) -> int:
    """Return the shortest length of the greatest expected speedup; 0 where drafting never pays.

    >>> best_gamma(0.8, 0.1), best_gamma(0.3, 0.5)
    (6, 0)
    """
    lengths = range(max_gamma + 1)
    return max(lengths, key=lambda g: expected_speedup(alpha, g, cost_ratio, verify_cost))


def break_even_alpha(
    gamma: int, cost_ratio: float, verify_cost: VerifyCost = free_verify
) -> float | None:
    """Return the alpha above which rounds of `gamma` drafts, 1 or more, beat plain decoding.

    None where even drafts that are always right are not fast enough.

    >>> break_even_alpha(1, 0.4)  # a round gives 1 + alpha tokens and costs 1.4
    0.4
    >>> break_even_alpha(2, 1.5) is None  # at most 3 tokens, which cost 4
    True
    """
    cost = gamma * cost_ratio + verify_cost(gamma + 1)
    # Tokens grow with alpha, so halving finds the first of a million million steps that is enough.
    steps = range(10**12 + 1)
    first = bisect_left(steps, cost, key=lambda step: expected_tokens(step / 1e12, gamma))
    return first / 1e12 if first in steps else None
