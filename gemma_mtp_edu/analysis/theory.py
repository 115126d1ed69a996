"""What the paper predicts from one number, alpha: tokens per round, break-even.

The model behind it: each draft is right with the same probability alpha, whatever came before.
Times are relative to a plain pass of the target.

Source: Leviathan et al. 2023, arXiv:2211.17192.
"""

from bisect import bisect_left


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


def break_even_alpha(gamma: int, cost: float) -> float | None:
    """Return the alpha above which rounds of `gamma` drafts, 1 or more, beat plain decoding.

    `cost` is that of a round, in plain passes. None where even drafts that are always right are not
    fast enough.

    >>> break_even_alpha(1, 1.4), break_even_alpha(2, 4.0)  # 1 + alpha tokens; at most 3 tokens
    (0.4, None)
    """
    # Tokens grow with alpha, so halving finds the first of a million million steps that is enough.
    steps = range(10**12 + 1)
    first = bisect_left(steps, cost, key=lambda step: expected_tokens(step / 1e12, gamma))
    return first / 1e12 if first in steps else None
