"""The record of one sweep, to keep and to share: what ran, what was predicted, what was measured.

It is read without any model library. It names hardware and releases, no folder and no person, and
nothing here sends it anywhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gemma_mtp_edu.core.stored import as_tuples, need_kinds, read_record, write_record
from gemma_mtp_edu.lessons.language import tr

SCHEMA = "gemma_mtp_edu.results_card/1"
_KINDS = {
    "pair": "text",
    "prompts": "texts",
    "verdict": "texts",
    "peak_memory_bytes": "count",
    "provenance": "texts",
}
_MEASUREMENT_KINDS = {
    "workload": "text",
    "gamma": "count",
    "seconds": "a number above 0",
    "prefill_seconds": "a time in seconds",
    "tokens": "count",
    "tokens_per_round": "a number above 0",
    "predicted_speedup": "a number above 0",
    "same_text": "true or false",
}
# A folder of somebody's machine, in any text of the card.
_FOLDER = re.compile(r"(?:^|[\s\"'=(])(?:~?/[\w.-]+/|[A-Za-z]:\\)")


class CardFormatError(ValueError):
    """A stored card cannot be read."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One workload with one draft length.

    Attributes:
        workload: Its name.
        gamma: Drafts per round; 0 is plain decoding.
        seconds: Median seconds after the prefill.
        prefill_seconds: Median seconds of the prefill, which no drafter changes.
        tokens: Tokens written.
        tokens_per_round: Tokens of a round; 1 in plain decoding.
        predicted_speedup: What the cost model said before; 1 in plain decoding.
        same_text: Whether the text is the plain one.
    """

    workload: str
    gamma: int
    seconds: float
    prefill_seconds: float
    tokens: int
    tokens_per_round: float
    predicted_speedup: float
    same_text: bool

    def __post_init__(self) -> None:
        for name in ("seconds", "prefill_seconds", "gamma"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(
                    tr("got {name} {value!r}, need a number of 0 or more", name=name, value=value)
                )
        if self.tokens < 2:
            raise ValueError(
                tr(
                    "got {tokens} token of {workload!r}, need 2 or more: the first one comes "
                    "from the prefill, so nothing was drafted; take a prompt with a longer "
                    "answer",
                    tokens=self.tokens,
                    workload=self.workload,
                )
            )

    @property
    def seconds_per_token(self) -> float:
        """Seconds of a token after the first one, which the prefill gives."""
        return self.seconds / (self.tokens - 1)


@dataclass(frozen=True, slots=True)
class ResultsCard:
    """A sweep over workloads and draft lengths.

    Attributes:
        pair: Name of the pair.
        measurements: Every workload with every draft length, 0 among them.
        prompts: The prompt of each workload.
        verdict: What the cost model said before anything was measured, by workload.
        peak_memory_bytes: The most memory that was in use.
        provenance: Hardware, dtype, releases, repeats.

    Raises:
        ValueError: A combination is missing or there twice, or a text names a folder.
    """

    pair: str
    measurements: tuple[Measurement, ...]
    prompts: Mapping[str, str]
    verdict: Mapping[str, str]
    peak_memory_bytes: int
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = [(m.workload, m.gamma) for m in self.measurements]
        wanted = [(name, gamma) for name in self.workloads for gamma in (0, *self.gammas)]
        if not self.gammas or sorted(found) != sorted(wanted):
            raise ValueError(
                tr(
                    "got the workloads and draft lengths {found}, need each workload once "
                    "without drafts (0) and once with each length",
                    found=sorted(found),
                )
            )
        if set(self.prompts) != set(self.workloads):
            raise ValueError(
                tr(
                    "got prompts of {got}, need those of {needed}",
                    got=sorted(self.prompts),
                    needed=sorted(self.workloads),
                )
            )
        texts = [self.pair, *self.provenance.values(), *self.verdict.values()]
        if named := next((text for text in texts if _FOLDER.search(text)), None):
            raise ValueError(
                tr(
                    "got {named!r}, which names a folder of this machine: a card to share "
                    "names none",
                    named=named,
                )
            )

    @property
    def workloads(self) -> tuple[str, ...]:
        """The workloads, in their order."""
        return tuple(dict.fromkeys(m.workload for m in self.measurements))

    @property
    def gammas(self) -> tuple[int, ...]:
        """The draft lengths, ascending, without 0."""
        return tuple(sorted({m.gamma for m in self.measurements} - {0}))

    def of(self, workload: str, gamma: int) -> Measurement:
        """Return one measurement.

        Raises:
            KeyError: The card has no such workload or length.
        """
        for measurement in self.measurements:
            if (measurement.workload, measurement.gamma) == (workload, gamma):
                return measurement
        raise KeyError(
            tr(
                "no {workload!r} with {gamma} drafts: there are {workloads}, with {gammas} drafts",
                workload=workload,
                gamma=gamma,
                workloads=self.workloads,
                gammas=(0, *self.gammas),
            )
        )

    def speedup(self, workload: str, gamma: int) -> float:
        """Return how many times as fast as plain decoding, the prefill left out."""
        plain, drafted = self.of(workload, 0), self.of(workload, gamma)
        return plain.seconds_per_token / drafted.seconds_per_token

    def to_json(self, indent: int | None = 1) -> str:
        """Return the card as JSON text that `from_json` reads back as an equal card."""
        return write_record(self, SCHEMA, indent)

    @classmethod
    def from_json(cls, text: str) -> "ResultsCard":
        """Read a card that `to_json` wrote.

        Raises:
            CardFormatError: The text is not JSON, of another schema, lacks a field, or contradicts
                itself.
        """
        record = read_record(text, SCHEMA, "ResultsCard.to_json()", CardFormatError)
        try:
            return cls(**_fields(record))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CardFormatError(
                tr("a field is missing or of a wrong kind: {error}", error=error)
            ) from error


def _fields(record: dict[str, Any]) -> dict[str, Any]:
    need_kinds(record, _KINDS)
    for entry in record["measurements"]:
        need_kinds(entry, _MEASUREMENT_KINDS)
    measurements = tuple(Measurement(**entry) for entry in record["measurements"])
    return {key: as_tuples(value) for key, value in record.items()} | {"measurements": measurements}
