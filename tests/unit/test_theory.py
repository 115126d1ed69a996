"""The paper's formulas against hand-worked numbers, a simulation, and each other."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.analysis.metrics import alpha, wasted_drafts
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.core.trace import RoundTrace
from tests.unit.test_trace import make_trace as trace


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


@given(st.integers(1, 16), st.floats(0, 20))
def test_break_even_is_where_tokens_cost_what_they_do_in_plain_decoding(
    gamma: int, cost: float
) -> None:
    alpha = break_even_alpha(gamma, cost)
    if alpha is None:
        assert gamma + 1 < cost
    else:
        assert expected_tokens(alpha, gamma) >= cost - 1e-9
        assert alpha < 1e-6 or expected_tokens(alpha - 1e-6, gamma) < cost


def test_break_even_at_the_ends() -> None:
    assert break_even_alpha(3, 1.0) == 0.0
    assert break_even_alpha(3, 4.0) == 1.0  # 4 tokens for 4 passes, if all are right
    assert break_even_alpha(3, 4.01) is None
    assert break_even_alpha(2, 0.5) == 0.0


# Numbers about traces, worked by hand.

PREFILL = RoundTrace(2, (), 0, 5, "prefill")
CORRECTED = RoundTrace(3, (6, 7, 8), 1, 9, "correction")
FULL = RoundTrace(5, (6, 7), 2, 9, "bonus")
ENDED = RoundTrace(8, (6, 7, 8), 2, None, "none")


def test_alpha_is_not_the_acceptance_rate() -> None:
    run = trace(PREFILL, CORRECTED, FULL)
    assert run.acceptance_rate == pytest.approx(3 / 5)
    assert alpha(run) == pytest.approx(3 / 4)
    assert wasted_drafts(run) == 2
    assert alpha(trace(PREFILL, ENDED)) == 1.0, "the third of its drafts was never verified"
    assert alpha(trace(PREFILL)) is None


def test_alpha_of_a_sampled_run_is_the_mean_overlap() -> None:
    sampled = RoundTrace(3, (6, 7, 8), 1, 9, "correction", overlaps=(0.9, 0.5))
    more = RoundTrace(5, (6,), 1, 9, "bonus", overlaps=(0.4,))
    assert alpha([trace(PREFILL, sampled), trace(PREFILL, more)]) == pytest.approx(0.6)
