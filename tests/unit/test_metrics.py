"""Numbers about traces, worked by hand."""

import pytest

from gemma_mtp_edu.analysis.metrics import alpha, wasted_drafts
from gemma_mtp_edu.core.trace import RoundTrace
from tests.unit.test_trace import make_trace as trace

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
