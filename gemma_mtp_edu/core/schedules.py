"""How many tokens to draft next, by rules without memory: one object can serve many runs.

To add one, subclass `Schedule` and write `gamma`; write `keeps_drafting` too where the drafter's
own probability may end a round early.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LastRound:
    """What a schedule may know of the round before: drafts asked for, made, and accepted."""

    gamma: int
    n_drafted: int
    n_accepted: int


class Schedule:
    """A rule for the draft length."""

    watches_probs = False
    """Whether `keeps_drafting` must be asked; asking makes a GPU wait."""

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return how many tokens to draft at most, 0 or more.

        Args:
            position: Tokens written so far, the one of the prefill included; at least 1.
            last: The round before; None in the first one.
        """
        raise NotImplementedError

    def keeps_drafting(self, draft_prob: float) -> bool:
        """Return whether to draft on after a token of this probability (the drafter's own)."""
        return True


@dataclass(frozen=True)
class Constant(Schedule):
    """The same number of drafts in every round."""

    drafts: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "drafts", check_gamma(self.drafts))

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the constant."""
        return self.drafts


@dataclass(frozen=True)
class Heuristic(Schedule):
    """Two drafts more after a round whose drafts were all accepted, one less after any other.

    What transformers documents as `num_assistant_tokens_schedule="heuristic"`, which releases 5.18
    and later leave out for Gemma 4 drafters.

    >>> rule = Heuristic(4)
    >>> rule.gamma(1, None), rule.gamma(6, LastRound(4, 4, 4)), rule.gamma(8, LastRound(4, 4, 1))
    (4, 6, 3)
    """

    start: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", check_gamma(self.start))

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the last draft length plus 2 or minus 1."""
        if last is None:
            return self.start
        return last.gamma + 2 if last.n_accepted == last.gamma else max(1, last.gamma - 1)


@dataclass(frozen=True)
class Confidence(Schedule):
    """Draft until the drafter's own probability of a draft falls below a threshold.

    The unsure draft itself is still verified: it has been paid for, and leaving it out would make
    sampling depend on the drawn token, which is not lossless.
    """

    threshold: float
    max_gamma: int = 16
    watches_probs = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "max_gamma", check_gamma(self.max_gamma))
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"got threshold {self.threshold}, need a probability such as 0.4")

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the upper bound."""
        return self.max_gamma

    def keeps_drafting(self, draft_prob: float) -> bool:
        """Return whether the drafter was sure enough."""
        return draft_prob >= self.threshold


@dataclass(frozen=True)
class FromProfile(Schedule):
    """One length for each position of a known text, such as the oracle's; past the end 0."""

    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        lengths = tuple(check_gamma(length, least=0) for length in self.lengths)
        object.__setattr__(self, "lengths", lengths)

    def gamma(self, position: int, last: LastRound | None) -> int:
        """Return the length of this position."""
        return self.lengths[position] if position < len(self.lengths) else 0


def check_gamma(gamma: Any, least: int = 1, name: str = "gamma", of: str = "drafts") -> int:
    """Return a number of tokens as an int; a ValueError says what else was given."""
    whole = hasattr(gamma, "__index__") and not isinstance(gamma, bool)  # tensors, too
    if not whole or gamma != int(gamma) or gamma < least:
        raise ValueError(f"got {name} {gamma!r}, need a whole number of {of}, at least {least}")
    return int(gamma)
