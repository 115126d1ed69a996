"""How many tokens to draft next.

A schedule is a rule without memory of its own: the loop (or a replay) hands it what it needs, so
the same object can serve many runs. It does not know models, tokens or texts.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from gemma_mtp_edu.core.arguments import got, mass, whole
from gemma_mtp_edu.lessons.language import tr


@dataclass(frozen=True, slots=True)
class LastRound:
    """What a schedule may know of the round before.

    Attributes:
        gamma: Drafts that the schedule asked for.
        n_drafted: Drafts that were made; fewer where the drafter stopped or the text was to end.
        n_accepted: Drafts that the target accepted.
    """

    gamma: int
    n_drafted: int
    n_accepted: int


@runtime_checkable
class Schedule(Protocol):
    """A rule for the draft length."""

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return how many tokens to draft at most, 0 or more.

        Args:
            position: Tokens written so far, the one of the prefill included; at least 1.
            last: The round before; None in the first one.
        """
        ...

    def keeps_drafting(self, draft_prob: float) -> bool:
        """Return whether to draft on after a token of this probability (the drafter's own)."""
        ...

    @property
    def watches_probs(self) -> bool:
        """Whether `keeps_drafting` must be asked at all; asking makes a GPU wait."""
        ...


class _FixedInRound:
    """What schedules share that never stop inside a round."""

    __slots__ = ()

    def keeps_drafting(self, draft_prob: float) -> bool:
        """Return True: these schedules draft what they announced."""
        return True

    @property
    def watches_probs(self) -> bool:
        """No probability is looked at."""
        return False


@dataclass(frozen=True, slots=True)
class Constant(_FixedInRound):
    """The same number of drafts in every round.

    Raises:
        ValueError: `drafts` is not a whole number of at least 1.
    """

    drafts: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "drafts", check_gamma(self.drafts, "Constant(drafts)"))

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the constant."""
        return self.drafts


@dataclass(frozen=True, slots=True)
class Heuristic(_FixedInRound):
    """Two drafts more after a round whose drafts were all accepted, one less after any other.

    Never below 1, and `start` in the first round. It is what transformers documents as
    `num_assistant_tokens_schedule="heuristic"` (`AssistedCandidateGenerator`), which releases 5.18
    and later leave out for Gemma 4 drafters.

    >>> rule = Heuristic(4)
    >>> rule.gamma(1, None), rule.gamma(6, LastRound(4, 4, 4)), rule.gamma(8, LastRound(4, 4, 1))
    (4, 6, 3)

    Raises:
        ValueError: `start` is not a whole number of at least 1.
    """

    start: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", check_gamma(self.start, "Heuristic(start)"))

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the last draft length plus 2 or minus 1."""
        if last is None:
            return self.start
        if last.n_accepted == last.gamma:
            return last.gamma + 2
        return max(1, last.gamma - 1)


@dataclass(frozen=True, slots=True)
class Confidence:
    """Draft until the drafter's own probability of a draft falls below a threshold.

    The unsure draft itself is still verified: it has been paid for, and leaving it out would make
    sampling depend on the drawn token, which is not lossless.

    Attributes:
        threshold: Probability, 0 to 1; 0 never stops.
        max_gamma: Drafts per round at most.

    Raises:
        ValueError: A number is out of range.
    """

    threshold: float
    max_gamma: int = 16

    def __post_init__(self) -> None:
        needed = tr("a probability between 0 and 1, such as 0.4")
        object.__setattr__(self, "threshold", mass(self.threshold, "threshold", needed))
        longest = check_gamma(self.max_gamma, "Confidence(max_gamma)")
        object.__setattr__(self, "max_gamma", longest)

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the upper bound."""
        return self.max_gamma

    def keeps_drafting(self, draft_prob: float) -> bool:
        """Return whether the drafter was sure enough."""
        return draft_prob >= self.threshold

    @property
    def watches_probs(self) -> bool:
        """Every draft's probability is looked at."""
        return True


@dataclass(frozen=True, slots=True)
class FromProfile(_FixedInRound):
    """A draft length for each position of one known text, such as the best possible choice.

    Attributes:
        lengths: `lengths[i]` drafts after `i` written tokens; 0 asks for a plain pass. Positions
            past the end get 0.

    Raises:
        ValueError: A length is not a whole number, or negative.
    """

    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        try:
            given = tuple(self.lengths)
        except TypeError as error:
            raise ValueError(
                got(
                    self.lengths,
                    tr("draft lengths"),
                    tr("one for each position, such as (0, 4, 2)"),
                )
            ) from error
        lengths = tuple(
            whole(n, tr("draft length [{place}]", place=i), 0) for i, n in enumerate(given)
        )
        object.__setattr__(self, "lengths", lengths)

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the length of this position."""
        return self.lengths[position] if position < len(self.lengths) else 0


def check_gamma(gamma: Any, name: str = "gamma") -> int:
    """Return a number of drafts as Python's own.

    Raises:
        ValueError: It is not a whole number of at least 1.
    """
    return whole(gamma, name, 1, " of drafts")


def check_schedule(schedule: Any) -> Schedule:
    """Return a schedule as it is.

    Raises:
        ValueError: It is none; a class of schedules, which lacks its numbers, is none either.
    """
    if isinstance(schedule, type) or not isinstance(schedule, Schedule):
        raise ValueError(
            got(
                schedule,
                "schedule",
                tr("a schedule such as Constant(4), Heuristic(4) or Confidence(0.4)"),
            )
        )
    return schedule


def asked(schedule: Schedule, position: int, last: LastRound | None) -> int:
    """Return how many drafts a schedule asks for, and hold it to its word.

    Raises:
        ValueError: It asks for something that is not a whole number of at least 0.
    """
    gamma = schedule.gamma(position, last)
    name = tr(
        "draft length of {schedule} at position {position}:", schedule=schedule, position=position
    )
    return whole(gamma, name, 0)


def from_generation_config(config: Any, default_drafts: int | None) -> Schedule:
    """Return the schedule that a drafter's `generation_config` asks for.

    Args:
        config: A `GenerationConfig`; `num_assistant_tokens` and `num_assistant_tokens_schedule`
            are read, nothing is written.
        default_drafts: Used where `num_assistant_tokens` is unset.

    Raises:
        ValueError: No number of drafts is set, or the schedule has no such name.
    """
    drafts = configured_drafts(config, default_drafts)
    kind = config.num_assistant_tokens_schedule or "constant"
    if kind == "constant":
        return Constant(drafts)
    if kind in ("heuristic", "heuristic_transient"):
        return Heuristic(drafts)
    raise ValueError(
        tr(
            "got num_assistant_tokens_schedule {kind!r}, need 'constant', 'heuristic' or "
            "'heuristic_transient'; or pass a schedule such as Constant(4) or Confidence(0.4)",
            kind=kind,
        )
    )


def configured_drafts(config: Any, default_drafts: int | None) -> int:
    """Return how many drafts a drafter's `generation_config` asks for, or else the default.

    Raises:
        ValueError: Neither sets a number.
    """
    drafts = default_drafts if config.num_assistant_tokens is None else config.num_assistant_tokens
    if drafts is None:
        raise ValueError(
            tr(
                "the drafter's generation_config has no num_assistant_tokens and the pair is not "
                "registered: pass gamma=4, or set drafter.generation_config.num_assistant_tokens"
            )
        )
    return check_gamma(drafts, tr("num_assistant_tokens in the drafter's generation_config:"))
