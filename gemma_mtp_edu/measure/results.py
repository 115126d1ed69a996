"""Records of measurements: JSON lines that outlive a kill.

Every process of a run appends to a part of its own; at the end one writes the whole.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LINES_SCHEMA = "gemma_mtp_edu.results/1"
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
