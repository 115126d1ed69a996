"""The paper's formulas against hand-worked numbers, a simulation, and each other."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.analysis.theory import (
    best_gamma,
    break_even_alpha,
    expected_speedup,
    expected_tokens,
)

alphas = st.floats(0, 1)
gammas = st.integers(1, 16)
ratios = st.floats(0, 3)
slopes = st.floats(0, 1)


def growing(slope: float):
    return lambda n: 1 + slope * (n - 1)


@given(st.floats(0, 0.99), st.integers(0, 20))
def test_tokens_are_the_paper_s_closed_form(alpha: float, gamma: int) -> None:
    closed = (1 - alpha ** (gamma + 1)) / (1 - alpha)
    assert expected_tokens(alpha, gamma) == pytest.approx(closed)


def test_tokens_stay_exact_near_and_at_one() -> None:
    assert expected_tokens(1.0, 7) == 8.0
    assert expected_tokens(1 - 1e-16, 7) == pytest.approx(8.0, abs=1e-12)
    assert expected_tokens(math.nextafter(1.0, 0.0), 16) < 17.0


def test_tokens_agree_with_a_simulation() -> None:
    draws = random.Random(3)
    total = 0
    for _ in range(20_000):
        accepted = 0
        while accepted < 5 and draws.random() < 0.7:
            accepted += 1
        total += accepted + 1
    assert total / 20_000 == pytest.approx(expected_tokens(0.7, 5), rel=0.02)


def test_speedup_worked_by_hand() -> None:
    """Two drafts at alpha 0.5 give 1.75 tokens; they cost 2 x 0.25 + 1.2 plain passes."""
    assert expected_speedup(0.5, 2, 0.25, lambda n: {3: 1.2}[n]) == pytest.approx(1.75 / 1.7)
    assert expected_speedup(0.5, 2, 0.25) == pytest.approx(1.75 / 1.5)
    assert expected_speedup(0.9, 0, 0.25, lambda n: 99.0) == 1.0


@given(alphas, ratios, slopes, st.integers(1, 16))
def test_the_best_gamma_is_the_first_that_no_other_beats(
    alpha: float, ratio: float, slope: float, limit: int
) -> None:
    found = best_gamma(alpha, ratio, growing(slope), max_gamma=limit)
    speedups = [expected_speedup(alpha, g, ratio, growing(slope)) for g in range(limit + 1)]
    assert 0 <= found <= limit
    assert all(speedups[found] > s for s in speedups[:found])
    assert all(speedups[found] >= s for s in speedups[found:])


def test_drafting_that_cannot_pay_is_refused() -> None:
    assert best_gamma(0.99, 1.5) == 0
    assert best_gamma(1.0, 0.0, max_gamma=9) == 9
    assert best_gamma(0.0, 0.1) == 0


@given(gammas, ratios, slopes)
def test_break_even_is_where_the_speedup_crosses_one(
    gamma: int, ratio: float, slope: float
) -> None:
    alpha = break_even_alpha(gamma, ratio, growing(slope))
    if alpha is None:
        assert expected_speedup(1.0, gamma, ratio, growing(slope)) < 1.0
    else:
        assert expected_speedup(alpha, gamma, ratio, growing(slope)) >= 1 - 1e-9
        below = alpha - 1e-6
        if below >= 0 and alpha > 0:
            assert expected_speedup(below, gamma, ratio, growing(slope)) < 1.0


def test_break_even_at_the_ends() -> None:
    assert break_even_alpha(3, 0.0) == 0.0
    assert break_even_alpha(3, 1.0) == 1.0  # 4 tokens for 4 passes, if all are right
    assert break_even_alpha(3, 1.01) is None
    assert break_even_alpha(2, 0.1, lambda n: 0.5) == 0.0
