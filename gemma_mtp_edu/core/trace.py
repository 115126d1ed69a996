"""Frozen records of a generation: what was drafted, what was accepted, what it cost.

Records hold plain numbers and strings, so a trace can be stored, reread and drawn with no model.
This module does not measure, decode or print anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from gemma_mtp_edu.core.stored import as_tuples, need_kind, need_kinds, read_record, write_record
from gemma_mtp_edu.lessons.language import tr

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = "gemma_mtp_edu.trace/1"

NextKind = Literal["prefill", "correction", "bonus", "plain", "none"]
StopReason = Literal["eos", "length", "stop"]


_KINDS = {
    "prompt_ids": "ids",
    "token_ids": "ids",
    "text": "text",
    "vocabulary": "texts",
    "provenance": "texts",
}
_ROUND_KINDS = {
    "prefix_length": "count",
    "draft_ids": "ids",
    "n_accepted": "count",
    **dict.fromkeys(("draft_probs", "target_probs", "overlaps", "uniforms"), "probabilities"),
    **dict.fromkeys(("draft_seconds", "verify_seconds", "other_seconds"), "a time in seconds"),
}


class TraceFormatError(ValueError):
    """A stored trace cannot be read."""


@dataclass(frozen=True, slots=True)
class RoundTrace:
    """One round: the drafter proposes, the target verifies, some tokens are committed.

    Attributes:
        prefix_length: Tokens of prompt and text before this round.
        draft_ids: Tokens that the drafter proposed, in order.
        n_accepted: How many of them entered the text, 0 to `len(draft_ids)`.
        next_id: The target's own token that follows them; None where the text ended inside the
            drafts.
        next_kind: What `next_id` is: "prefill" (the first token, from the pass that reads the
            prompt), "correction" (in place of a rejected draft), "bonus" (after drafts that were
            all accepted), "plain" (of a pass that had no drafts to verify) or "none".
        draft_probs: The drafter's probability of each draft; empty where not recorded.
        target_probs: The target's probability of each draft, in the same order.
        overlaps: When sampling, per position that the target judged (the accepted ones and the
            first rejected one) the sum over the vocabulary of min(p, q).
        uniforms: When sampling, the number drawn at each of those positions.
        draft_seconds: Time in the drafter.
        verify_seconds: Time in the target.
        other_seconds: The rest of the round.
    """

    prefix_length: int
    draft_ids: tuple[int, ...]
    n_accepted: int
    next_id: int | None
    next_kind: NextKind
    draft_probs: tuple[float, ...] = ()
    target_probs: tuple[float, ...] = ()
    draft_seconds: float = 0.0
    verify_seconds: float = 0.0
    other_seconds: float = 0.0
    overlaps: tuple[float, ...] = ()
    uniforms: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.n_accepted <= len(self.draft_ids):
            raise ValueError(
                tr(
                    "n_accepted is {n_accepted}, but {drafted} tokens were drafted: it must "
                    "be between 0 and the number of drafts",
                    n_accepted=self.n_accepted,
                    drafted=len(self.draft_ids),
                )
            )

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Tokens that this round added to the text."""
        own = () if self.next_id is None else (self.next_id,)
        return self.draft_ids[: self.n_accepted] + own

    @property
    def seconds(self) -> float:
        """Duration of the round."""
        return self.draft_seconds + self.verify_seconds + self.other_seconds


@dataclass(frozen=True, slots=True)
class GenerationTrace:
    """A whole generation, round by round.

    Attributes:
        prompt_ids: The prompt's token ids.
        token_ids: The generated token ids, end marks included.
        text: The generated text, without special tokens.
        rounds: What happened, in order; the first one is the prefill.
        stop_reason: "eos" (the model ended the text), "length" (`max_new_tokens`) or "stop".
        vocabulary: The text of every token id that occurs in this trace.
        provenance: Pair, method, dtype, device and versions that made it.
    """

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    text: str
    rounds: tuple[RoundTrace, ...]
    stop_reason: StopReason
    vocabulary: Mapping[int, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def draft_rounds(self) -> tuple[RoundTrace, ...]:
        """The rounds after the prefill (of a plain run: its one-token passes)."""
        return tuple(r for r in self.rounds if r.next_kind != "prefill")

    @property
    def target_passes(self) -> int:
        """Passes of the target, the prefill included."""
        return len(self.rounds)

    @property
    def drafter_passes(self) -> int:
        """Passes of the drafter: one for each drafted token."""
        return sum(len(r.draft_ids) for r in self.rounds)

    @property
    def n_accepted(self) -> int:
        """Drafts that entered the text."""
        return sum(r.n_accepted for r in self.rounds)

    @property
    def acceptance_rate(self) -> float | None:
        """Accepted over drafted tokens; None where nothing was drafted.

        Drafts after the first rejection count as drafted although the target never judged them, so
        this is not the alpha of Leviathan et al. 2023.
        """
        return self.n_accepted / self.drafter_passes if self.drafter_passes else None

    @property
    def tokens_per_round(self) -> float | None:
        """Mean tokens that a draft-and-verify round commits; None where there was no such round."""
        rounds = self.draft_rounds
        return sum(len(r.token_ids) for r in rounds) / len(rounds) if rounds else None

    @property
    def seconds(self) -> float:
        """Duration of all rounds, prefill included."""
        return sum(r.seconds for r in self.rounds)

    def token_text(self, token_id: int) -> str:
        """Return the text of a token id, or `<id>` where the trace does not know it."""
        return self.vocabulary.get(token_id, f"<{token_id}>")

    def to_json(self, indent: int | None = None) -> str:
        """Return the trace as JSON text that `from_json` reads back as an equal trace."""
        return write_record(self, SCHEMA, indent)

    @classmethod
    def from_json(cls, text: str) -> "GenerationTrace":
        """Read a trace that `to_json` wrote.

        Raises:
            TraceFormatError: The text is not JSON, of another schema, or lacks a field.
        """
        record = read_record(text, SCHEMA, "GenerationTrace.to_json()", TraceFormatError)
        try:
            return cls(**_fields(record))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TraceFormatError(
                tr("a field is missing or of a wrong kind: {error}", error=error)
            ) from error

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per round as a pandas DataFrame."""
        import pandas as pd

        rows = [
            {
                "round": index,
                "prefix_length": r.prefix_length,
                "drafted": len(r.draft_ids),
                "accepted": r.n_accepted,
                "next_kind": r.next_kind,
                "text": "".join(map(self.token_text, r.token_ids)),
                "draft_seconds": r.draft_seconds,
                "verify_seconds": r.verify_seconds,
                "other_seconds": r.other_seconds,
            }
            for index, r in enumerate(self.rounds)
        ]
        return pd.DataFrame(rows).set_index("round")

    def __str__(self) -> str:
        from gemma_mtp_edu.show.views import text_view

        return text_view(self)

    def _repr_html_(self) -> str:
        from gemma_mtp_edu.show.views import html_view

        return html_view(self)


def kind_after(n_drafted: int, n_accepted: int, *, first: bool = False) -> NextKind:
    """Return what the target's own token is that follows a pass.

    Args:
        n_drafted: Drafts that the pass verified.
        n_accepted: How many of them the target kept.
        first: Whether the pass read the prompt.

    >>> kind_after(4, 4), kind_after(4, 2), kind_after(0, 0), kind_after(0, 0, first=True)
    ('bonus', 'correction', 'plain', 'prefill')
    """
    if first:
        return "prefill"
    if n_drafted == 0:
        return "plain"
    return "bonus" if n_accepted == n_drafted else "correction"


def check_stop_reason(stop_reason: Any) -> None:
    """Raise unless a stored value is a reason for which texts end.

    Raises:
        ValueError: It is none.
    """
    if stop_reason not in get_args(StopReason):
        raise ValueError(
            tr(
                "stop_reason is {got!r}, need one of {known}",
                got=stop_reason,
                known=get_args(StopReason),
            )
        )


def _check_rounds(rounds: tuple[RoundTrace, ...], token_ids: tuple[int, ...]) -> None:
    """Raise unless the rounds begin with the prefill, their only one, and wrote these tokens."""
    kinds = [r.next_kind for r in rounds]
    if kinds[:1] != ["prefill"] or kinds.count("prefill") > 1 or rounds[0].draft_ids:
        raise ValueError(
            tr(
                "the rounds are {kinds!r:.60}, need a prefill without drafts first, and no other",
                kinds=kinds,
            )
        )
    if any((r.next_id is None) != (r.next_kind == "none") for r in rounds):
        raise ValueError(tr('next_id is there, or next_kind is "none": need one of the two'))
    written = tuple(token for r in rounds for token in r.token_ids)
    if written != token_ids:
        raise ValueError(
            tr(
                "token_ids are {got!r:.60}, need those of the rounds, {written!r:.60}",
                got=token_ids,
                written=written,
            )
        )


def _round(record: dict[str, Any]) -> RoundTrace:
    need_kinds(record, _ROUND_KINDS)
    if record["next_kind"] not in get_args(NextKind):
        raise ValueError(
            tr(
                "next_kind is {got!r}, need one of {known}",
                got=record["next_kind"],
                known=get_args(NextKind),
            )
        )
    if record["next_id"] is not None:
        need_kind(record["next_id"], "count", "next_id")
    return RoundTrace(**{key: as_tuples(value) for key, value in record.items()})


def _fields(record: dict[str, Any]) -> dict[str, Any]:
    """Turn JSON's lists and string keys back into tuples, records and integer keys."""
    rounds = tuple(_round(r) for r in record["rounds"])
    need_kinds(record, _KINDS)
    check_stop_reason(record["stop_reason"])
    _check_rounds(rounds, tuple(record["token_ids"]))
    return {
        "prompt_ids": tuple(record["prompt_ids"]),
        "token_ids": tuple(record["token_ids"]),
        "text": record["text"],
        "rounds": rounds,
        "stop_reason": record["stop_reason"],
        "vocabulary": {int(key): value for key, value in record["vocabulary"].items()},
        "provenance": record["provenance"],
    }
