"""Records of measurements: JSON lines that outlive a kill, and the card of a sweep, to share.

Every process of a run appends to a part of its own; at the end one writes the whole.
"""

import json
import os
import re
import shutil
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from gemma_mtp_edu.analysis.cost import answer_of
from gemma_mtp_edu.core.trace import GenerationTrace, read_record, write_record

LINES_SCHEMA = "gemma_mtp_edu.results/1"
CARD_SCHEMA = "gemma_mtp_edu.results_card/1"
# A folder of somebody's machine, in any text of the card.
_FOLDER = re.compile(r"(?:^|[\s\"'=(])(?:~?/[\w.-]+/|[A-Za-z]:\\)")
# What pydantic reads from a file; NaN is less than nothing.
_Positive = Annotated[float, Gt(0), Lt(float("inf"))]
Result = dict[str, Any]


def append(out: Path, process: int, result: Result) -> Result:
    """Append a result to a process's part and return it with its schema; it is on disk then."""
    result = {**result, "schema": LINES_SCHEMA}
    with out.with_name(f"{out.name}.part-{process}").open("a", encoding="utf-8") as file:
        # A line that a kill cut off before must not spoil this one.
        file.write(f"\n{json.dumps(result, ensure_ascii=False)}\n")
        file.flush()
        os.fsync(file.fileno())
    return result


def read_results(out: Path, run: Mapping[str, Any]) -> dict[str, Result]:
    """Return the results so far of the whole and of all parts, by key; all of this `run` only."""
    check_writable(out)
    found: dict[str, Result] = {}
    for path in filter(Path.exists, (out, *_parts(out))):
        for line in filter(None, path.read_bytes().splitlines()):
            try:
                result = json.loads(line)
            except (ValueError, RecursionError):
                if path != out:  # a kill cut it off; the whole is written at once
                    continue
                result = None
            right = isinstance(result, dict) and result.get("schema") == LINES_SCHEMA
            if not right or result["run"] != run:
                need = f"need results of this release and of this run, {run}"
                told = f"{path.name} holds {line[:400]!r}, {need}"
                raise ValueError(f"{told}: name another file with --out, or remove it")
            found[result["key"]] = result
    return found


def write_results(out: Path, results: Iterable[Result]) -> None:
    """Replace the whole by these results, then remove the parts."""
    write_text(out, "".join(f"{json.dumps(result, ensure_ascii=False)}\n" for result in results))
    for part in _parts(out):
        part.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a whole file, or leave the one before it as it was."""
    place = path.resolve()  # a link stays one
    partial = place.with_name(f"{place.name}.partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if place.exists():
            shutil.copymode(place, partial)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def check_writable(path: Path, schema: str = "") -> None:
    """Raise an OSError where a file cannot be written, or holds something else than this schema."""
    if path.exists() and not path.is_file():
        raise IsADirectoryError(f"{path} is no file that can be replaced: name one to write")
    found = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    if found and schema not in found:
        raise FileExistsError(f"{path} is something else than {schema}: name another file")
    trial = path.resolve().with_name(f"{path.resolve().name}.partial-{os.getpid()}")
    trial.touch()
    trial.unlink()


def _parts(out: Path) -> list[Path]:
    """Return the files that processes appended to, and no other that is only called like them."""
    name = re.compile(rf"{re.escape(out.name)}\.part-\d+")
    return sorted(path for path in out.parent.iterdir() if name.fullmatch(path.name))


@dataclass(frozen=True, slots=True)
class Measurement:
    """One workload with one draft length; 0 is plain decoding."""

    workload: str
    gamma: Annotated[int, Ge(0)]
    seconds: _Positive  # median, after the prefill
    prefill_seconds: _Positive  # median; no drafter changes it
    tokens: int
    tokens_per_round: _Positive  # 1 in plain decoding
    predicted_speedup: _Positive  # what the cost model said before; 1 in plain decoding
    same_text: bool  # as in plain decoding

    def __post_init__(self) -> None:
        if self.tokens < 2:  # the first token comes from the prefill: nothing was drafted
            told = f"got {self.tokens} token of {self.workload!r}, need 2 or more"
            raise ValueError(f"{told}: take a prompt with a longer answer")

    @property
    def seconds_per_token(self) -> float:
        """Seconds of a token after the first one, which the prefill gives."""
        return self.seconds / (self.tokens - 1)


def measurements(
    runs: Mapping[tuple[str, int], Sequence[GenerationTrace]],
    predicted: Mapping[tuple[str, int], float],
) -> tuple[Measurement, ...]:
    """Return what `timed_runs` measured and was predicted, by workload and draft length."""
    return tuple(
        Measurement(
            *case, tokens=len(traces[-1].token_ids), predicted_speedup=predicted.get(case, 1.0),
            seconds=statistics.median(sum(r.seconds for r in t.draft_rounds) for t in traces),
            prefill_seconds=statistics.median(t.rounds[0].seconds for t in traces),
            tokens_per_round=traces[-1].tokens_per_round or 1.0,
            same_text=traces[-1].token_ids == runs[case[0], 0][-1].token_ids,
        )
        for case, traces in runs.items()
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ResultsCard:
    """A sweep over workloads and draft lengths; it names hardware and releases, but no folder."""

    pair: str
    measurements: tuple[Measurement, ...]  # every workload with every draft length, 0 among them
    prompts: Mapping[str, str]  # by workload
    verdict: Mapping[str, str]  # what the cost model said before anything was measured
    peak_memory_bytes: Annotated[int, Ge(0)]
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = [(m.workload, m.gamma) for m in self.measurements]
        wanted = [(name, gamma) for name in self.workloads for gamma in (0, *self.gammas)]
        if not self.gammas or sorted(found) != sorted(wanted):
            raise ValueError(f"got {sorted(found)}, need each workload once with each length and 0")
        for text in (self.pair, *self.provenance.values(), *self.verdict.values()):
            if _FOLDER.search(text):
                raise ValueError(f"got {text!r}, which names a folder: a card to share names none")

    @property
    def workloads(self) -> tuple[str, ...]:
        """The workloads, in their order."""
        return tuple(dict.fromkeys(m.workload for m in self.measurements))

    @property
    def gammas(self) -> tuple[int, ...]:
        """The draft lengths, ascending, without 0."""
        return tuple(sorted({m.gamma for m in self.measurements} - {0}))

    def of(self, workload: str, gamma: int) -> Measurement:
        """Return one measurement."""
        return {(m.workload, m.gamma): m for m in self.measurements}[workload, gamma]

    def speedup(self, workload: str, gamma: int) -> float:
        """Return how many times as fast as plain decoding, the prefill left out."""
        return self.of(workload, 0).seconds_per_token / self.of(workload, gamma).seconds_per_token

    def prediction_errors(self) -> dict[tuple[str, int], float]:
        """Return predicted over measured speed, less 1, by workload and draft length."""
        return {
            (m.workload, m.gamma): m.predicted_speedup / self.speedup(m.workload, m.gamma) - 1
            for m in self.measurements
            if m.gamma
        }

    def best_lengths(self) -> dict[str, tuple[int, int, float]]:
        """Return by workload the best length predicted, the best measured, their speeds' ratio."""
        found = {}
        for workload in self.workloads:
            speeds = {n: self.speedup(workload, n) for n in (0, *self.gammas)}
            promised = {n: self.of(workload, n).predicted_speedup for n in speeds}
            # Ascending, so that of equals the shortest length counts.
            guess, best = (max(by, key=by.__getitem__) for by in (promised, speeds))
            found[workload] = guess, best, speeds[guess] / speeds[best]
        return found

    def overall_speedups(self) -> dict[int, float]:
        """Return by draft length the speed over as many tokens of each workload; plain is 1."""
        lengths, names = (0, *self.gammas), self.workloads
        totals = {n: sum(self.of(name, n).seconds_per_token for name in names) for n in lengths}
        return {gamma: totals[0] / total for gamma, total in totals.items()}

    def length_for_all(self) -> int:
        """Return the draft length that is fastest over all workloads; 0 where none clearly pays."""
        speeds = self.overall_speedups()
        best = max(speeds, key=speeds.__getitem__)
        return best if answer_of(speeds[best]) == "pays" else 0

    def to_json(self) -> str:
        """Return the card as JSON text that `from_json` reads back as an equal card."""
        return write_record(self, CARD_SCHEMA, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "ResultsCard":
        """Read a card that `to_json` wrote; a ValueError says what is wrong with another text."""
        return read_record(text, CARD_SCHEMA, cls)
