"""Replay a schedule on an acceptance profile: exactly what a real run would do, with no model.

At position `i` with `g` drafts the target accepts `min(n_accepted[i], g)` of them and adds a token
of its own. Nothing is modelled, so a replay has no times; the cost model gives it some.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.core.schedules import FromProfile, LastRound, Schedule
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace, kind_after

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.cost import CostModel


def replay(profile: AcceptanceProfile, schedule: Schedule) -> GenerationTrace:
    """Return the rounds that a greedy run with this schedule has, without times.

    The schedule may ask for more than `profile.max_gamma` drafts where no round really makes more:
    the text is about to end, or the drafter is unsure before. Else it is a ValueError.
    """
    rounds = [RoundTrace(len(profile.prompt_ids), (), 0, profile.token_ids[0], "prefill")]
    position, last = 1, None
    while position < len(profile.token_ids):
        gamma = schedule.gamma(position, last)
        n_drafted = _n_drafted(profile, schedule, position, gamma)
        record = replayed_round(profile, position, n_drafted)
        rounds.append(record)
        position += record.n_accepted + 1
        last = LastRound(gamma, n_drafted, record.n_accepted)
    return GenerationTrace(
        prompt_ids=profile.prompt_ids, token_ids=profile.token_ids, text=profile.text,
        rounds=tuple(rounds), stop_reason=profile.stop_reason, vocabulary=profile.vocabulary,
        provenance={**profile.provenance, "method": f"replay, {schedule}"},
    )  # fmt: skip


def replayed_round(profile: AcceptanceProfile, position: int, n_drafted: int) -> RoundTrace:
    """Return the round that starts at a position with a number of drafts."""
    n_accepted = min(profile.n_accepted[position], n_drafted)
    end = position + n_accepted
    # A text that ends inside accepted drafts has no token of the target's own.
    ended_inside = end >= len(profile.token_ids)
    return RoundTrace(
        prefix_length=len(profile.prompt_ids) + position,
        draft_ids=profile.draft_ids[position][:n_drafted],
        draft_probs=profile.draft_probs[position][:n_drafted], n_accepted=n_accepted,
        next_id=None if ended_inside else profile.token_ids[end],
        next_kind="none" if ended_inside else kind_after(n_drafted, n_accepted),
    )  # fmt: skip


def best_schedule(
    profile: AcceptanceProfile,
    cost: "CostModel | Callable[[int], float]",
    *,
    max_gamma: int | None = None,
) -> tuple[FromProfile, GenerationTrace]:
    """Return the cheapest draft lengths for this text, the oracle, and the replay with them.

    Dynamic programming from the end: the cheapest rest of the text from a position is the best over
    all draft lengths of the cost of that round and the cheapest rest after it. Every position gets
    its best length, also one that this choice does not visit; of equals the shortest.

    The cost is a `CostModel`, or any function that gives the cost of a round with that many drafts,
    wherever it stands; 0 drafts is a plain pass. Rounds have at most `max_gamma` drafts, by default
    all that profile and cost model know.
    """
    n_tokens = len(profile.token_ids)
    longest = profile.max_gamma if max_gamma is None else min(profile.max_gamma, max_gamma)
    if not callable(cost):
        longest = min(longest, cost.max_gamma)
    lengths, cheapest = [0] * n_tokens, [0.0] * (n_tokens + 1)
    for position in range(n_tokens - 1, 0, -1):
        context, totals = len(profile.prompt_ids) + position, []
        for n in range(min(longest, _most(profile, position)) + 1):
            after = position + min(profile.n_accepted[position], n) + 1
            here = cost(n) if callable(cost) else cost.round_seconds(n, context)
            totals.append(here + cheapest[min(after, n_tokens)])
        cheapest[position] = min(totals)
        lengths[position] = totals.index(cheapest[position])
    schedule = FromProfile(tuple(lengths))
    return schedule, replay(profile, schedule)


def _most(profile: AcceptanceProfile, position: int) -> int:
    """Return how many drafts a round may make: the verify pass gives one more token."""
    return profile.max_new_tokens - position - 1


def _n_drafted(profile: AcceptanceProfile, schedule: Schedule, position: int, gamma: int) -> int:
    """Return how many drafts a round makes, the unsure one that ends it included."""
    wanted = max(0, min(gamma, _most(profile, position)))
    if schedule.watches_probs:
        for index, prob in enumerate(profile.draft_probs[position][:wanted]):
            if not schedule.keeps_drafting(prob):
                return index + 1
    if wanted > profile.max_gamma:
        raise ValueError(
            f"{schedule} makes {wanted} drafts at position {position}, this profile holds "
            f"{profile.max_gamma}: make it again with acceptance_profile(max_gamma={wanted})"
        )
    return wanted
