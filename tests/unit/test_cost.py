"""The cost model with made-up times: what it predicts, says and stores; no model, no clock."""

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.analysis.calibration import medians
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import best_schedule, replay
from gemma_mtp_edu.analysis.theory import expected_tokens
from gemma_mtp_edu.core.schedules import FromProfile
from gemma_mtp_edu.core.trace import RoundTrace
from tests.cases import cases
from tests.unit.test_profile import make_profile, profiles
from tests.unit.test_trace import make_trace


def make_cost(
    plain: float = 10.0, verify: float = 0.5, drafter: float = 1.0, other: float = 0.25
) -> CostModel:
    """Return times at contexts 10 and 110; the longer one takes twice as long in everything."""
    rows = tuple(plain + verify * (n - 1) for n in (1, 5, 17))
    return CostModel(
        contexts=(10, 110),
        lengths=(1, 5, 17),
        plain_seconds=(plain, 2 * plain),
        verify_seconds=(rows, tuple(2 * row for row in rows)),
        drafter_seconds=(drafter, 2 * drafter),
        other_seconds=(other, 2 * other),
        provenance={"pair": "test"},
    )


COST = make_cost()
ROUNDS = (
    RoundTrace(3, (), 0, 10, "prefill", verify_seconds=99.0),
    RoundTrace(4, (11, 12), 2, 13, "bonus"),
    RoundTrace(7, (14, 15, 1), 1, 16, "correction"),
    RoundTrace(60, (), 0, 17, "plain"),
)


def same_chain(n_tokens: int, right: int, gamma: int) -> AcceptanceProfile:
    """Return a profile where `right` drafts hold from every position, as far as the text goes."""
    text = tuple(range(n_tokens))
    chains = tuple(
        tuple(i + 1 + k if k < right else 999 for k in range(gamma)) for i in range(n_tokens - 1)
    )
    return make_profile(text, chains)


def test_seconds_of_a_round_worked_by_hand() -> None:
    """Two drafts, 10 + 2 x 0.5 for three tokens, the rest; between contexts a straight line."""
    assert COST.round_seconds(2) == pytest.approx(2 * 1 + 11 + 0.25)
    assert COST.round_seconds(2, 60) == pytest.approx(1.5 * 13.25)
    assert COST.round_seconds(0, 110) == 2 * 10
    assert COST.round_seconds(16, 9999) == pytest.approx(2 * (16 + 18 + 0.25))
    assert COST.plain(1) == COST.plain(10) == COST.plain() == 10
    assert COST.max_gamma == 16


def test_lengths_that_were_not_measured_are_refused() -> None:
    with pytest.raises(ValueError, match="over 18 tokens, measured are 1 to 17"):
        COST.round_seconds(17)
    with pytest.raises(ValueError, match="over 0 tokens"):
        COST.round_seconds(-1)


@given(st.floats(0, 1), st.integers(1, 16), st.floats(0, 20), st.floats(0, 3))
def test_predictions_are_the_paper_s_with_measured_costs(
    alpha: float, gamma: int, drafter: float, slope: float
) -> None:
    cost = make_cost(verify=slope, drafter=drafter, other=0.0)
    wanted = 10 * expected_tokens(alpha, gamma) / (gamma * drafter + 10 + slope * gamma)
    assert cost.predict(alpha, gamma) == pytest.approx(wanted)
    assert cost.predict(alpha, gamma, 110) == pytest.approx(wanted)
    assert cost.predict(alpha, 0) == 1.0


def test_a_trace_worked_by_hand() -> None:
    """Rounds of 2, 3 and no drafts after 4, 7 and 60 tokens; six tokens one by one after 4 to 9."""
    prediction = COST.predict_trace(make_trace(*ROUNDS))
    assert prediction.seconds == pytest.approx(13.25 + 14.75 + 1.5 * 10)
    assert prediction.plain_seconds == pytest.approx(6 * 10)
    assert prediction.speedup == pytest.approx(60 / (13.25 + 14.75 + 15))
    assert COST.predict_trace(make_trace(ROUNDS[0])).speedup == 1.0


def test_a_short_calibration_limits_the_lengths() -> None:
    cost = CostModel((10,), (1, 3), (9.0,), ((10.0, 10.5),), (1.0,), (0.0,))
    profile = same_chain(40, right=8, gamma=8)
    trace = best_schedule(profile, cost)[1]
    assert max(len(record.draft_ids) for record in trace.draft_rounds) == 2
    assert cost.predict(1.0, 2) == pytest.approx(3 * 9.0 / 12.5), "a decode step is no verify pass"


@given(profiles(max_tokens=6, max_gamma=3))
def test_the_best_schedule_of_a_cost_model_is_the_best_of_all(profile: AcceptanceProfile) -> None:
    """Times grow along the text, so the same round costs more the later it stands."""
    cost = CostModel((3, 9), (1, 4), (9.0, 30.0), ((9.0, 10.0), (30.0, 31.0)), (1.0, 7.0), (0.5, 4))
    positions, longest = len(profile.token_ids) - 1, profile.max_gamma
    seconds = [
        cost.predict_trace(replay(profile, FromProfile((0, *lengths)))).seconds
        for lengths in product(range(longest + 1), repeat=positions)
    ]
    best = cost.predict_trace(best_schedule(profile, cost)[1]).seconds
    assert best == pytest.approx(min(seconds))


def test_medians_and_the_line_through_the_drafting_times() -> None:
    """2 s a draft and 0.5 s once; one slow round in three changes nothing."""
    rounds = [
        RoundTrace(
            9, (1,) * n, 0, 1, "correction",
            draft_seconds=(0.5 + 2 * n) * slow,
            verify_seconds=(7.0 + n) * slow,
            other_seconds=0.25 * slow,
        )
        for slow in (1, 100, 1)
        for n in (0, 1, 4)
    ]  # fmt: skip
    steps = [
        RoundTrace(9, (), 0, 1, "plain", verify_seconds=s, other_seconds=1)
        for s in (5.0, 6.0, 99.0)
    ]
    plain, verify, drafter, other = medians(rounds, steps)
    assert (plain, verify) == (7, (7, 8, 11))
    assert drafter == pytest.approx(2.0)
    assert other == pytest.approx(0.75)


@given(st.floats(0.001, 99), st.floats(0, 99))
def test_json_round_trip(plain: float, drafter: float) -> None:
    cost = make_cost(plain=plain, drafter=drafter)
    assert CostModel.from_json(cost.to_json()) == cost


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (COST.to_json()[:50], "cut off"),
        ("{}", r"reads 'gemma_mtp_edu\.cost/1'"),
    ],
)
def test_what_is_no_cost_model_is_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CostModel.from_json(text)


@cases
def test_stored_numbers_that_cannot_be_are_refused(field: str, value: Any, message: str) -> None:
    record = json.loads(COST.to_json())
    with pytest.raises(ValueError, match=message):
        CostModel.from_json(json.dumps(record | {field: value}))
