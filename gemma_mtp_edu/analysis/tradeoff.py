"""What a choice of draft lengths wins and wastes on known texts, by replay: no model, no clock.

Costs are counted in plain passes, the time in which plain decoding writes one token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gemma_mtp_edu.analysis.cost import CostModel, RoundCost, round_cost
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import best_schedule, replay
from gemma_mtp_edu.core.schedules import Confidence, Constant, Heuristic, LastRound, Schedule
from gemma_mtp_edu.core.trace import GenerationTrace

Kind = Literal["constant", "heuristic", "confidence", "oracle"]
Cost = CostModel | float  # of a machine, or of a draft in plain passes
Measured = Mapping[int, float]  # speedups by constant draft length


@dataclass(frozen=True)
class BoundedHeuristic(Heuristic):
    """A heuristic schedule with an upper bound for its draft lengths."""

    max_gamma: int

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the heuristic's length, or the bound where that is less."""
        return min(self.max_gamma, super().gamma(position, last))


@dataclass(frozen=True, slots=True)
class Setting:
    """A schedule as it is set by hand."""

    kind: Kind = "constant"  # the oracle has the best length in every round
    draft_length: int = 4  # per round of a constant one, of the first round of a heuristic one
    threshold: float = 0.4  # probability below which a confidence schedule stops


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rounds that a schedule has on a text, and their cost in plain passes."""

    trace: GenerationTrace
    cost: float  # of all rounds after the prefill
    best_cost: float  # the same for the oracle's lengths; nothing costs less
    draft_cost: float  # of one draft

    @property
    def speedup(self) -> float:
        """How many times as fast as plain decoding, the prefill left out."""
        return _speedup(self.trace, self.cost)

    @property
    def best_speedup(self) -> float:
        """The speedup of the oracle's lengths."""
        return _speedup(self.trace, self.best_cost)

    @property
    def share_of_best(self) -> float:
        """Speedup over the oracle's, 0 to 1."""
        return self.best_cost / self.cost if self.cost else 1.0


def outcome(
    profile: AcceptanceProfile, setting: Setting, cost: Cost, cost_ratio: float | None = None
) -> Outcome:
    """Replay a setting on a text; its rounds cost what `round_cost` says."""
    cost_of, longest = round_cost(cost, cost_ratio), longest_draft(profile, cost)
    _, best = best_schedule(profile, cost_of, max_gamma=longest)
    schedules: dict[Kind, Schedule] = {
        "constant": Constant(min(setting.draft_length, longest)),
        "heuristic": BoundedHeuristic(setting.draft_length, longest),
        "confidence": Confidence(setting.threshold, longest),
    }
    trace = best if setting.kind == "oracle" else replay(profile, schedules[setting.kind])
    ratio = draft_cost(cost) if cost_ratio is None else cost_ratio
    return Outcome(trace, _total(trace, cost_of), _total(best, cost_of), ratio)


def draft_cost(cost: Any) -> float:
    """Return the cost of a draft in plain passes."""
    return cost.drafter_step() / cost.plain() if hasattr(cost, "plain") else cost


def longest_draft(profile: AcceptanceProfile, cost: Cost) -> int:
    """Return the most drafts per round that are known of both the text and the machine."""
    return min(profile.max_gamma, getattr(cost, "max_gamma", profile.max_gamma))


def speedups(traces: Sequence[GenerationTrace], cost_of: RoundCost) -> tuple[float, ...]:
    """Return the speedup of each trace when its rounds have these costs."""
    return tuple(_speedup(trace, _total(trace, cost_of)) for trace in traces)


def constant_replays(profile: AcceptanceProfile, cost: Cost) -> list[GenerationTrace]:
    """Return the runs with 1, 2, 3, ... drafts in every round."""
    return [replay(profile, Constant(n + 1)) for n in range(longest_draft(profile, cost))]


def _total(trace: GenerationTrace, cost_of: RoundCost) -> float:
    return sum(cost_of(len(record.draft_ids)) for record in trace.draft_rounds)


def _speedup(trace: GenerationTrace, cost: float) -> float:
    # The prefill's token is no round's; a text of that one token has nothing to speed up.
    return sum(len(r.token_ids) for r in trace.draft_rounds) / cost if cost else 1.0
