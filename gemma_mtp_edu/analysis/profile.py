"""The acceptance profile of a text: what the drafter would propose at every position of it.

Under greedy decoding the text does not depend on the drafts, so neither does the chain of drafts
from a position, nor how many of them the target accepts. Known once, they let `replay` answer for
every schedule without a model. This module neither decodes nor replays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gemma_mtp_edu.core.stored import as_tuples, need_kinds, read_record, write_record
from gemma_mtp_edu.core.trace import StopReason
from gemma_mtp_edu.lessons.language import tr

SCHEMA = "gemma_mtp_edu.profile/1"
_KINDS = {
    "prompt_ids": "ids",
    "token_ids": "ids",
    "text": "text",
    "n_accepted": "ids",
    "draft_ids": "rows of ids",
    "draft_probs": "rows of probabilities",
    "max_gamma": "count",
    "max_new_tokens": "count",
    "vocabulary": "texts",
    "provenance": "texts",
}


class ProfileFormatError(ValueError):
    """A stored profile cannot be read."""


@dataclass(frozen=True, slots=True, repr=False)
class AcceptanceProfile:
    """What would be drafted and accepted at every position of one greedy text.

    Position `i` means: `i` tokens have been written, token `i - 1` is the newest one, and the first
    draft proposes token `i`. Entry 0 is empty, because the first token comes from the prefill.

    Attributes:
        prompt_ids: The prompt's token ids.
        token_ids: The generated token ids, end marks included.
        text: The generated text, without special tokens.
        n_accepted: Per position how many drafts of the chain the target would accept: the first
            ones that are equal to the text, so at most the tokens that are left.
        draft_ids: Per position the drafter's own chain of `max_gamma` drafts. It feeds back its own
            drafts, also wrong ones, and goes on past the end of the text.
        draft_probs: The drafter's probability of each draft.
        max_gamma: Drafts per position.
        max_new_tokens: The limit that the text was written under; rounds near it draft fewer.
        stop_reason: "eos" or "length".
        vocabulary: The text of every token id in text and drafts.
        provenance: Pair, method, dtype, device and versions that made it.

    Raises:
        ValueError: The entries contradict each other.
    """

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    text: str
    n_accepted: tuple[int, ...]
    draft_ids: tuple[tuple[int, ...], ...]
    draft_probs: tuple[tuple[float, ...], ...]
    max_gamma: int
    max_new_tokens: int
    stop_reason: StopReason
    vocabulary: Mapping[int, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_sizes()
        if self.n_accepted != (expected := accepted_counts(self.token_ids, self.draft_ids)):
            wrong = next(i for i, n in enumerate(expected) if n != self.n_accepted[i])
            raise ValueError(
                tr(
                    "n_accepted is {accepted} at position {wrong}, but the text agrees with "
                    "{expected} drafts there: text and drafts must be of the same run",
                    accepted=self.n_accepted[wrong],
                    wrong=wrong,
                    expected=expected[wrong],
                )
            )
        too_long = len(self.token_ids) > self.max_new_tokens
        if too_long or (self.stop_reason == "length" and len(self) < self.max_new_tokens):
            raise ValueError(
                tr(
                    "got {count} tokens, max_new_tokens {max_new_tokens} and stop_reason "
                    "{stop_reason!r}, which do not go together",
                    count=len(self.token_ids),
                    max_new_tokens=self.max_new_tokens,
                    stop_reason=self.stop_reason,
                )
            )

    def _check_sizes(self) -> None:
        n = len(self.token_ids)
        counts = (len(self.n_accepted), len(self.draft_ids), len(self.draft_probs))
        if n == 0 or counts != (n, n, n):
            raise ValueError(
                tr(
                    "got {n} tokens and {counts} entries of n_accepted, draft_ids and "
                    "draft_probs: need at least one token, and one entry for each",
                    n=n,
                    counts=counts,
                )
            )
        chains = zip(self.draft_ids, self.draft_probs, strict=True)
        for position, (drafts, probs) in enumerate(chains):
            wanted = self.max_gamma if position else 0
            if (len(drafts), len(probs)) != (wanted, wanted):
                raise ValueError(
                    tr(
                        "got {drafts} drafts and {probs} probabilities at position "
                        "{position}, need {wanted} (max_gamma; none at position 0)",
                        drafts=len(drafts),
                        probs=len(probs),
                        position=position,
                        wanted=wanted,
                    )
                )

    def __len__(self) -> int:
        return len(self.token_ids)

    def __repr__(self) -> str:
        return tr(
            "AcceptanceProfile({tokens} tokens of {pair}, {gamma} drafts from each position, "
            "{right:.2f} of them right on average)"
            if self.provenance.get("pair")
            else "AcceptanceProfile({tokens} tokens, {gamma} drafts from each position, "
            "{right:.2f} of them right on average)",
            tokens=len(self),
            pair=self.provenance.get("pair"),
            gamma=self.max_gamma,
            right=self.mean_accepted,
        )

    @property
    def mean_accepted(self) -> float:
        """Mean of `n_accepted` over the positions that can be drafted from; 0 without any."""
        return sum(self.n_accepted) / max(1, len(self) - 1)

    def to_json(self, indent: int | None = None) -> str:
        """Return the profile as JSON text that `from_json` reads back as an equal profile."""
        return write_record(self, SCHEMA, indent)

    @classmethod
    def from_json(cls, text: str) -> "AcceptanceProfile":
        """Read a profile that `to_json` wrote.

        Raises:
            ProfileFormatError: The text is not JSON, of another schema, lacks a field, or its
                entries contradict each other.
        """
        record = read_record(text, SCHEMA, "AcceptanceProfile.to_json()", ProfileFormatError)
        try:
            return cls(**_fields(record))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProfileFormatError(
                tr("a field is missing or of a wrong kind: {error}", error=error)
            ) from error


def accepted_counts(
    token_ids: Sequence[int], draft_ids: Sequence[Sequence[int]]
) -> tuple[int, ...]:
    """Return per position how many drafts agree with the text before the first that does not.

    >>> accepted_counts([5, 6, 7, 8], [[], [6, 7, 9], [1, 8, 9], [8, 8, 8]])
    (0, 2, 0, 1)
    """
    counts = []
    for position, drafts in enumerate(draft_ids):
        pairs = list(zip(drafts, token_ids[position:], strict=False))
        counts.append(next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs)))
    return tuple(counts)


def _fields(record: dict[str, Any]) -> dict[str, Any]:
    """Turn JSON's lists and string keys back into tuples and integer keys."""
    need_kinds(record, _KINDS)
    vocabulary = {int(key): value for key, value in record["vocabulary"].items()}
    return {key: as_tuples(value) for key, value in record.items()} | {"vocabulary": vocabulary}
