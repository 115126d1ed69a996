"""What rounds cost on one machine, and what that makes of a text: seconds, speedups.

Predicting needs only the measured numbers; `calibration` measures them, with the models.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gemma_mtp_edu.analysis.theory import expected_tokens
from gemma_mtp_edu.core.trace import GenerationTrace, read_record, write_record

SCHEMA = "gemma_mtp_edu.cost/1"
RoundCost = Callable[[int], float]  # of a round of that many drafts, in plain passes
Ints = Sequence[int]
LENGTHS = (1, 2, 3, 4, 5, 7, 9, 13, 17)


class Prediction(NamedTuple):
    """Predicted seconds of all after the prefill, with drafts and for the same tokens without."""

    seconds: float
    plain_seconds: float

    @property
    def speedup(self) -> float:
        """How many times as fast as plain decoding; 1 for a text of one token."""
        return self.plain_seconds / self.seconds if self.seconds else 1.0


@dataclass(frozen=True, slots=True)
class CostModel:
    """Measured seconds of what rounds are made of, at several context lengths.

    Between measured numbers it takes the straight line; beyond the first or last context that
    one's times. A `context` is the tokens before the round; None is the shortest measured one.
    """

    contexts: tuple[int, ...]  # ascending
    lengths: tuple[int, ...]  # tokens of a verify pass, ascending from 1: `gamma + 1` of them
    plain_seconds: tuple[float, ...]  # per context, a whole step of plain decoding
    verify_seconds: tuple[tuple[float, ...], ...]  # per context and length, with the accept rule
    drafter_seconds: tuple[float, ...]  # per context, one more draft
    other_seconds: tuple[float, ...]  # per context, the rest of a round
    provenance: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def calibrate(
        cls, pair: Any, *, lengths: Ints = LENGTHS, contexts: Ints = (64, 512), repeats: int = 5
    ) -> "CostModel":
        """Measure a pair on this machine; nothing else should run on it meanwhile.

        Rounds of all `lengths` (tokens per verify pass, ascending from 1) take turns after each of
        the `contexts` (tokens before the round, ascending, 2 or more). The median of `repeats`
        rounds counts; one more of each warms up.
        """
        # Here: a cost model must be read and asked where no model library is installed.
        from gemma_mtp_edu.analysis.calibration import calibrate

        check_grid(lengths, contexts)
        return cls(**calibrate(pair, tuple(map(int, lengths)), tuple(map(int, contexts)), repeats))

    @property
    def max_gamma(self) -> int:
        """Drafts per round that the measured lengths reach."""
        return self.lengths[-1] - 1

    def plain(self, context: float | None = None) -> float:
        """Return the seconds of a step of plain decoding."""
        return self._at(self.plain_seconds, context)

    def verify(self, n_tokens: int, context: float | None = None) -> float:
        """Return the seconds of a verify pass over that many tokens, at most the measured ones."""
        if not 1 <= n_tokens <= self.lengths[-1]:
            measured = f"measured are 1 to {self.lengths[-1]}: calibrate again with more lengths"
            raise ValueError(f"got a pass over {n_tokens} tokens, {measured}")
        times = [float(np.interp(n_tokens, self.lengths, row)) for row in self.verify_seconds]
        return self._at(times, context)

    def drafter_step(self, context: float | None = None) -> float:
        """Return the seconds of one draft."""
        return self._at(self.drafter_seconds, context)

    def rest(self, context: float | None = None) -> float:
        """Return the seconds of a round that neither drafting nor verifying takes."""
        return self._at(self.other_seconds, context)

    def round_seconds(self, gamma: int, context: float | None = None) -> float:
        """Return the seconds of a round of `gamma` drafts; without any it is a plain step."""
        if gamma == 0:
            return self.plain(context)
        drafting = gamma * self.drafter_step(context)
        return drafting + self.verify(gamma + 1, context) + self.rest(context)

    def predict(self, alpha: float, gamma: int, context: float | None = None) -> float:
        """Return the expected speedup of `gamma` drafts that are each right with chance `alpha`.

        Source: Leviathan et al. 2023, arXiv:2211.17192, theorem 3.8, with measured costs.
        """
        seconds = self.round_seconds(gamma, context)
        return expected_tokens(alpha, gamma) * self.plain(context) / seconds

    def predict_trace(self, trace: GenerationTrace) -> Prediction:
        """Return what the rounds of a trace cost, and its tokens one by one without drafts."""
        start, rounds = len(trace.prompt_ids), trace.draft_rounds
        first = len(trace.rounds) - len(rounds)  # 0 where a first pass has drafts already
        return Prediction(
            sum(self.round_seconds(len(r.draft_ids), r.prefix_length) for r in rounds),
            sum(self.plain(start + i) for i in range(first, len(trace.token_ids))),
        )

    def to_json(self, indent: int | None = None) -> str:
        """Return the model as JSON text for `from_json`."""
        return write_record(self, SCHEMA, indent)

    @classmethod
    def from_json(cls, text: str) -> "CostModel":
        """Read a cost model that `to_json` wrote; a ValueError says what is wrong with another."""
        model = read_record(text, SCHEMA, cls)
        check_grid(model.lengths, model.contexts)
        singles = [model.plain_seconds, model.drafter_seconds, model.other_seconds]
        sizes = [len(model.contexts)] * 3 + [len(model.lengths)] * len(model.contexts)
        positive = model.plain_seconds + sum(model.verify_seconds, ())
        times = positive + model.drafter_seconds + model.other_seconds
        right = [len(row) for row in (*singles, *model.verify_seconds)] == sizes
        if not (right and 0 not in positive and all(0 <= t < float("inf") for t in times)):
            raise ValueError("a cost model needs positive seconds for each context and length")
        return model

    def _at(self, times: Sequence[float], context: float | None) -> float:
        return times[0] if context is None else float(np.interp(context, self.contexts, times))


def check_grid(lengths: Ints, contexts: Ints) -> None:
    """Raise a ValueError unless passes of these lengths, after these contexts, can be measured."""
    ascending = all([*numbers] == sorted(set(numbers)) for numbers in (lengths, contexts))
    if not (ascending and len(lengths) > 1 and contexts and lengths[0] == 1 and contexts[0] > 1):
        raise ValueError(
            f"got lengths {tuple(lengths)} and contexts {tuple(contexts)}, need both ascending: "
            "tokens per verify pass from 1, at least two, and tokens before the round from 2"
        )


def round_cost(cost: Any, cost_ratio: float | None = None) -> RoundCost:
    """Return what a round of that many drafts costs, in plain passes; of none, one.

    `cost` is a measured machine, taken at its shortest context; or the cost of a draft in plain
    passes, with a verify pass that costs as much as a plain one. `cost_ratio` stands in place of
    the machine's own cost of a draft.

    >>> round_cost(0.1)(4)
    1.4
    """
    if not hasattr(cost, "plain"):  # of a module that was loaded anew, too
        return lambda n_drafted: 1.0 + (cost if cost_ratio is None else cost_ratio) * n_drafted
    plain, rest = cost.plain(), cost.rest()
    ratio = cost.drafter_step() / plain if cost_ratio is None else cost_ratio
    return lambda n: ratio * n + (cost.verify(n + 1) + rest) / plain if n else 1.0
