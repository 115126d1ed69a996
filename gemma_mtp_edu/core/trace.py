"""Records of a generation, as plain numbers: stored, reread and drawn with no model."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from gemma_mtp_edu import for_console

SCHEMA = "gemma_mtp_edu.trace/1"
NextKind = Literal["prefill", "correction", "bonus", "plain", "none"]
StopReason = Literal["eos", "length", "stop"]
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class RoundTrace:
    """One round: the drafter proposes, the target verifies, some tokens are committed."""

    prefix_length: int  # tokens of prompt and text before this round
    draft_ids: tuple[int, ...]  # that the drafter proposed, in order
    n_accepted: int  # how many of them entered the text
    next_id: int | None  # the target's own token; None where the text ended inside the drafts
    # "prefill" (the first token), "correction" (in place of a rejected draft), "bonus" (after
    # drafts that were all accepted), "plain" (no drafts) or "none".
    next_kind: NextKind
    draft_probs: tuple[float, ...] = ()  # the drafter's, of each draft; or not recorded
    target_probs: tuple[float, ...] = ()  # the target's, of each draft
    draft_seconds: float = 0.0  # in the drafter
    verify_seconds: float = 0.0  # in the target
    other_seconds: float = 0.0  # the rest of the round
    # When sampling, of each verified position in the text: sum of min(p, q), and the number drawn.
    overlaps: tuple[float, ...] = ()
    uniforms: tuple[float, ...] = ()

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
    """A whole generation, round by round."""

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]  # of the text, end marks included
    text: str  # without special tokens
    rounds: tuple[RoundTrace, ...]  # what happened, in order; the first one is the prefill
    stop_reason: StopReason  # "eos": the model ended it; "length": `max_new_tokens`; or "stop"
    vocabulary: Mapping[int, str] = field(default_factory=dict)  # texts of the ids in this trace
    provenance: Mapping[str, str] = field(default_factory=dict)  # pair, method, dtype, versions

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

        Drafts after the first rejection count though never verified: not the paper's alpha.
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

    def text_of(self, token_ids: Iterable[int]) -> str:
        """Return the text of ids as one piece: bytes, such as <0xE6>, make characters together."""
        raw = b""
        for text in map(self.token_text, token_ids):
            is_bytes = re.fullmatch("(<0x[0-9A-F]{2}>)+", text)
            raw += bytes.fromhex(re.sub("<0x|>", "", text)) if is_bytes else text.encode()
        return raw.decode(errors="backslashreplace")

    def to_json(self, indent: int | None = None) -> str:
        """Return the trace as JSON text that `from_json` reads back as an equal trace."""
        return write_record(self, SCHEMA, indent)

    @classmethod
    def from_json(cls, text: str) -> "GenerationTrace":
        """Read a trace that `to_json` wrote; a ValueError says what is wrong with it."""
        trace = read_record(text, SCHEMA, cls)
        if trace.token_ids != tuple(token for r in trace.rounds for token in r.token_ids):
            raise ValueError("the rounds do not add up to token_ids: write it again with to_json()")
        return trace

    def to_frame(self) -> Any:
        """Return one row per round as a pandas DataFrame."""
        import pandas as pd

        frame = pd.DataFrame([asdict(r) for r in self.rounds]).rename_axis("round")
        frame["text"] = [self.text_of(r.token_ids) for r in self.rounds]
        frame["drafted"], frame["accepted"] = frame["draft_ids"].map(len), frame["n_accepted"]
        seconds = ["draft_seconds", "verify_seconds", "other_seconds"]
        return frame[["prefix_length", "drafted", "accepted", "next_kind", "text", *seconds]]

    def __repr__(self) -> str:
        return for_console(self.to_frame().iloc[:, :5].to_string())


def kind_after(n_drafted: int, n_accepted: int, *, first: bool = False) -> NextKind:
    """Return what the target's own token is that follows a pass."""
    if first:
        return "prefill"
    if n_drafted == 0:
        return "plain"
    return "bonus" if n_accepted == n_drafted else "correction"


def write_record(record: Any, schema: str, indent: int | None = None) -> str:
    """Return a dataclass record as JSON text that names its schema."""
    return json.dumps({"schema": schema, **asdict(record)}, indent=indent, ensure_ascii=False)


def read_record(text: str, schema: str, kind: type[Record]) -> Record:
    """Return the record that `write_record` wrote; a ValueError says what is wrong with it."""
    from pydantic import TypeAdapter

    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not a complete JSON text, the file may be cut off: {error}") from error
    name = found.get("schema") if isinstance(found, dict) else None
    if name != schema:
        raise ValueError(f"got schema {name!r}, this release reads {schema!r}: write it again")
    return TypeAdapter(kind).validate_json(text)
