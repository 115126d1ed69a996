"""Replays against a loop that goes token by token, and best schedules against all schedules."""

import itertools

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from gemma_mtp_edu import Confidence, Constant, FromProfile, Heuristic
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import best_schedule, replay
from gemma_mtp_edu.core.schedules import LastRound, Schedule
from gemma_mtp_edu.core.trace import RoundTrace
from tests.unit.test_profile import make_profile, profiles

schedules: st.SearchStrategy[Schedule] = st.one_of(
    st.builds(Constant, st.integers(1, 5)),
    st.builds(Heuristic, st.integers(1, 5)),
    st.builds(Confidence, st.floats(0, 1), st.integers(1, 5)),
    st.builds(FromProfile, st.lists(st.integers(0, 5), max_size=14).map(tuple)),
)


class TooLongError(Exception):
    """The run would draft more than the profile holds."""


def slow_run(profile: AcceptanceProfile, schedule: Schedule) -> list[RoundTrace]:
    """Run the loop's rules token by token, knowing the text only through its next token."""
    text = list(profile.token_ids)
    written, last = [text[0]], None
    rounds = [RoundTrace(len(profile.prompt_ids), (), 0, text[0], "prefill")]
    while len(written) < len(text):
        position = len(written)
        gamma = schedule.gamma(position, last)
        drafts, probs = slow_draft(profile, schedule, position, gamma)
        n_accepted, own = 0, None
        for draft in [*drafts, None]:
            if len(written) == len(text):
                break
            written.append(text[len(written)])
            if draft != written[-1]:
                own = written[-1]
                break
            n_accepted += 1
        if own is None:
            kind = "none"
        elif n_accepted < len(drafts):
            kind = "correction"
        else:
            kind = "bonus" if drafts else "plain"
        prefix = len(profile.prompt_ids) + position
        rounds.append(RoundTrace(prefix, drafts, n_accepted, own, kind, probs))
        last = LastRound(gamma, len(drafts), n_accepted)
    return rounds


def slow_draft(
    profile: AcceptanceProfile, schedule: Schedule, position: int, gamma: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Draft token by token."""
    n = 0
    for _ in range(min(gamma, profile.max_new_tokens - position - 1)):
        if n == profile.max_gamma:
            raise TooLongError
        n += 1
        sure = schedule.keeps_drafting(profile.draft_probs[position][n - 1])
        if schedule.watches_probs and not sure:
            break
    return profile.draft_ids[position][:n], profile.draft_probs[position][:n]


@settings(max_examples=400)
@given(profiles(), schedules)
def test_a_replay_is_the_run(profile: AcceptanceProfile, schedule: Schedule) -> None:
    try:
        wanted = slow_run(profile, schedule)
    except TooLongError:
        with pytest.raises(ValueError, match="this profile holds"):
            replay(profile, schedule)
        return
    trace = replay(profile, schedule)
    assert list(trace.rounds) == wanted
    assert sum((r.token_ids for r in trace.rounds), ()) == trace.token_ids == profile.token_ids
    assert trace.stop_reason == profile.stop_reason


@pytest.mark.parametrize("kind", ["correction", "bonus", "plain", "none"])
def test_such_runs_have_every_kind_of_round(kind: str) -> None:
    """The test above would prove little for a kind of round that never occurs in it."""

    def occurs(case: tuple[AcceptanceProfile, Schedule]) -> bool:
        try:
            rounds = slow_run(*case)
        except TooLongError:
            return False
        return any(r.next_kind == kind for r in rounds[2:])

    find(st.tuples(profiles(), schedules), occurs)


HAND = make_profile(
    (5, 6, 7, 8, 9),
    ((6, 7, 0), (0, 8, 0), (8, 9, 0), (9, 0, 0)),
    probs=((), (0.9, 0.4, 0.8), (0.2, 0.9, 0.9), (0.9, 0.9, 0.9), (0.5, 0.5, 0.5)),
    max_new_tokens=7,
)


def test_rounds_worked_by_hand() -> None:
    """Three drafts from 5: 6 and 7 hold, 8 corrects. From 8: 9 ends the text inside the drafts."""
    trace = replay(HAND, Constant(3))
    assert trace.rounds == (
        RoundTrace(3, (), 0, 5, "prefill"),
        RoundTrace(4, (6, 7, 0), 2, 8, "correction", (0.9, 0.4, 0.8)),
        RoundTrace(7, (9, 0), 1, None, "none", (0.5, 0.5)),  # 7 - 4 - 1: only two may be drafted
    )
    assert trace.provenance["method"] == "replay, Constant(drafts=3)"
    assert trace.token_text(7) == "t7"


def test_an_unsure_draft_is_the_last_one_and_still_verified() -> None:
    first = replay(HAND, Confidence(0.5, 3)).rounds[1]
    assert (first.draft_ids, first.n_accepted, first.next_kind) == ((6, 7), 2, "bonus")


def test_length_zero_is_a_plain_pass() -> None:
    trace = replay(HAND, FromProfile(()))
    assert [r.next_kind for r in trace.rounds] == ["prefill"] + ["plain"] * 4
    assert trace.drafter_passes == 0


def test_the_heuristic_follows_its_own_rule() -> None:
    """1 (right, so 3), 3 asked but 7 - 3 - 1 = 3 allowed: 8 and 9 hold and end the text."""
    trace = replay(HAND, Heuristic(1))
    assert [r.draft_ids for r in trace.draft_rounds] == [(6,), (8, 9, 0)]


class Greedy(Schedule):
    """A schedule of one's own: asks for nine drafts, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, LastRound | None]] = []

    def gamma(self, position: int, last: LastRound | None) -> int:
        self.told.append((position, last))
        return 9


def test_a_schedule_is_told_what_it_asked_for_and_what_was_made_of_it() -> None:
    schedule = Greedy()
    replay(make_profile((5, 6, 7, 8), ((0, 0), (0, 0), (0, 0))), schedule)
    assert schedule.told == [(1, None), (2, LastRound(9, 2, 0)), (3, LastRound(9, 1, 0))]


def test_more_drafts_than_the_profile_holds_are_refused_where_they_are_made() -> None:
    with pytest.raises(ValueError, match=r"makes 5 drafts at position 1.*max_gamma=5"):
        replay(HAND, Constant(9))
    # Exact all the same: the drafter is unsure before, or the text is about to end.
    assert replay(HAND, Confidence(0.5, 9)).rounds == replay(HAND, Confidence(0.5, 3)).rounds
    near_the_end = FromProfile((0, 2, 0, 9, 9))
    assert replay(HAND, near_the_end).rounds[-1].draft_ids == (9, 0)


def brute_force(profile: AcceptanceProfile, costs: list[int]) -> int:
    """Return the least total cost over all choices of a length at every position."""
    positions = len(profile.token_ids) - 1
    totals = []
    for lengths in itertools.product(range(profile.max_gamma + 1), repeat=positions):
        trace = replay(profile, FromProfile((0, *lengths)))
        totals.append(sum(costs[len(r.draft_ids)] for r in trace.draft_rounds))
    return min(totals)


@settings(max_examples=150)
@given(
    profiles(max_tokens=6, max_gamma=3),
    st.lists(st.integers(0, 50), min_size=4, max_size=4),
)
def test_the_best_schedule_is_the_best_of_all(profile: AcceptanceProfile, costs: list[int]) -> None:
    schedule, trace = best_schedule(profile, lambda gamma: costs[gamma])
    assert sum(costs[len(r.draft_ids)] for r in trace.draft_rounds) == brute_force(profile, costs)
    assert trace == replay(profile, schedule)
    assert len(schedule.lengths) == len(profile.token_ids)


def test_the_best_schedule_worked_by_hand() -> None:
    """A draft costs 0.1. Lengths 1, 1 and 2, 0 both write all in 2.2; the shorter one is taken."""
    schedule, trace = best_schedule(HAND, lambda gamma: 1 + 0.1 * gamma)
    assert schedule.lengths == (0, 1, 0, 1, 0)
    assert [len(r.draft_ids) for r in trace.draft_rounds] == [1, 1]
    assert best_schedule(HAND, lambda gamma: 1.0 + 3 * gamma)[0].lengths == (0,) * 5
    assert best_schedule(HAND, lambda gamma: 1.0)[0].lengths[1] == 1  # nothing gained by 2
    assert best_schedule(HAND, lambda gamma: 9.0 if gamma < 2 else 1.0)[0].lengths[1] == 2
    assert max(best_schedule(HAND, lambda gamma: 1 + 0.1 * gamma, max_gamma=1)[0].lengths) == 1
