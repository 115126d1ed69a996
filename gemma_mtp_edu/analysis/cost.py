"""What rounds cost on one machine, and what that makes of a text: seconds and speedups.

Predicting needs only the measured numbers; `calibration` measures them, with the models.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from gemma_mtp_edu.analysis.grid import between, check_grid, check_table, check_times
from gemma_mtp_edu.analysis.needed_records import need_trace
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.theory import expected_tokens
from gemma_mtp_edu.analysis.verdict import Verdict, judge
from gemma_mtp_edu.core.arguments import listed, real, whole
from gemma_mtp_edu.core.schedules import Schedule
from gemma_mtp_edu.core.stored import as_tuples, need_kinds, read_record, write_record
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr

if TYPE_CHECKING:
    from gemma_mtp_edu.models.pairs import ModelPair

SCHEMA = "gemma_mtp_edu.cost/1"
LENGTHS = (1, 2, 3, 4, 5, 7, 9, 13, 17)
CONTEXTS = (64, 512)
_KINDS = {
    **dict.fromkeys(("contexts", "lengths"), "ids"),
    **dict.fromkeys(("plain_seconds", "drafter_seconds", "other_seconds"), "times in seconds"),
    "verify_seconds": "rows of times in seconds",
    "provenance": "texts",
}


class CostFormatError(ValueError):
    """A stored cost model cannot be read."""


@dataclass(frozen=True, slots=True)
class Prediction:
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
    context's times. A `context` is the tokens of prompt and text before the round; None is the
    shortest measured one.

    Attributes:
        contexts: Context lengths, ascending.
        lengths: Tokens of a verify pass, ascending from 1: `gamma + 1` of them.
        plain_seconds: Per context, a whole step of plain decoding.
        verify_seconds: Per context and length, a verify pass and the verdict on it.
        drafter_seconds: Per context, one more draft.
        other_seconds: Per context, the rest of a round.
        provenance: Pair, device, dtype, versions and repeats.

    Raises:
        ValueError: Sizes do not fit together, or a time is not a positive number.
    """

    contexts: tuple[int, ...]
    lengths: tuple[int, ...]
    plain_seconds: tuple[float, ...]
    verify_seconds: tuple[tuple[float, ...], ...]
    drafter_seconds: tuple[float, ...]
    other_seconds: tuple[float, ...]
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_grid(self.lengths, self.contexts)
        size = len(self.contexts)
        check_times(self.plain_seconds, size, "plain_seconds")
        check_times(self.drafter_seconds, size, "drafter_seconds", positive=False)
        check_times(self.other_seconds, size, "other_seconds", positive=False)
        check_table(self.verify_seconds, size, len(self.lengths), "verify_seconds")

    @classmethod
    def calibrate(
        cls,
        pair: "ModelPair",
        *,
        lengths: Sequence[int] = LENGTHS,
        contexts: Sequence[int] = CONTEXTS,
        repeats: int = 5,
    ) -> "CostModel":
        """Measure a pair on this machine; nothing else should run on it meanwhile.

        Args:
            pair: The models.
            lengths: Tokens per verify pass, ascending from 1.
            contexts: Tokens before the round, ascending, 2 or more.
            repeats: Timed rounds of each length, in turns; medians count. One more warms up.

        Raises:
            ValueError: A number is out of range.
        """
        # By name: a cost model must be read and asked where no model library is installed.
        calibration = import_module("gemma_mtp_edu.analysis.calibration")
        given = (listed(lengths, "lengths"), listed(contexts, "contexts"))
        model: CostModel = calibration.calibrate(pair, *given, repeats)
        return model

    @property
    def max_gamma(self) -> int:
        """Drafts per round that the measured lengths reach."""
        return self.lengths[-1] - 1

    def plain(self, context: float | None = None) -> float:
        """Return the seconds of a step of plain decoding."""
        return self._at(self.plain_seconds, context)

    def verify(self, n_tokens: int, context: float | None = None) -> float:
        """Return the seconds of a verify pass over that many tokens.

        Raises:
            ValueError: The number lies outside the measured ones.
        """
        if not 1 <= whole(n_tokens, "n_tokens", 0, " of tokens") <= self.lengths[-1]:
            raise ValueError(
                tr(
                    "got a pass over {n_tokens} tokens, measured are 1 to {longest}: "
                    "calibrate again with lengths up to {n_tokens}",
                    n_tokens=n_tokens,
                    longest=self.lengths[-1],
                )
            )
        times = tuple(between(self.lengths, row, n_tokens) for row in self.verify_seconds)
        return self._at(times, context)

    def drafter_step(self, context: float | None = None) -> float:
        """Return the seconds of one draft."""
        return self._at(self.drafter_seconds, context)

    def rest(self, context: float | None = None) -> float:
        """Return the seconds of a round that neither drafting nor verifying takes."""
        return self._at(self.other_seconds, context)

    def round_seconds(self, gamma: int, context: float | None = None) -> float:
        """Return the seconds of a round of `gamma` drafts."""
        gamma = whole(gamma, "gamma", 0, " of drafts")
        drafting = gamma * self.drafter_step(context)
        return drafting + self.verify(gamma + 1, context) + self.rest(context)

    def predict(self, alpha: float, gamma: int, context: float | None = None) -> float:
        """Return the expected speedup over plain decoding; without drafts that is 1.

        Args:
            alpha: Probability that the target accepts a draft, the same at every position.
            gamma: Drafts per round.
            context: Tokens before the round.

        Source: Leviathan et al. 2023, arXiv:2211.17192, theorem 3.8, with measured costs.
        """
        seconds = self.round_seconds(gamma, context)
        return expected_tokens(alpha, gamma) * self.plain(context) / seconds if gamma else 1.0

    def predict_trace(self, trace: GenerationTrace) -> Prediction:
        """Return what the rounds of a trace cost, and its tokens one by one without drafts."""
        need_trace(trace)
        start = len(trace.prompt_ids)
        return Prediction(
            sum(self.round_seconds(len(r.draft_ids), r.prefix_length) for r in trace.draft_rounds),
            sum(self.plain(start + i) for i in range(1, len(trace.token_ids))),
        )

    def predict_schedule(self, profile: AcceptanceProfile, schedule: Schedule) -> Prediction:
        """Return what a schedule costs on a text; its rounds are replayed exactly."""
        return self.predict_trace(replay(profile, schedule))

    def verdict(self, evidence: GenerationTrace | AcceptanceProfile) -> Verdict:
        """Return whether drafting pays here, with which draft length, and what would change that.

        Args:
            evidence: A run with drafts, from which alpha is estimated; or an acceptance profile,
                on which every draft length is replayed.

        Raises:
            ValueError: Nothing was drafted in it.
        """
        return judge(self, evidence)

    def to_json(self, indent: int | None = None) -> str:
        """Return the model as JSON text that `from_json` reads back as an equal model."""
        return write_record(self, SCHEMA, indent)

    @classmethod
    def from_json(cls, text: str) -> "CostModel":
        """Read a cost model that `to_json` wrote.

        Raises:
            CostFormatError: The text is not JSON, of another schema, or a field is wrong.
        """
        record = read_record(text, SCHEMA, "CostModel.to_json()", CostFormatError)
        try:
            need_kinds(record, _KINDS)
            return cls(**{key: as_tuples(value) for key, value in record.items()})
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise CostFormatError(
                tr("a field is missing or of a wrong kind: {error}", error=error)
            ) from error

    def _at(self, times: Sequence[float], context: float | None) -> float:
        if context is None:
            return times[0]
        needed = tr("the tokens before the round, or None")
        if not 0 <= real(context, "context", needed) < float("inf"):
            raise ValueError(
                tr("got context {context!r}, need {needed}", context=context, needed=needed)
            )
        return between(self.contexts, times, context)
