"""Results as JSON lines that outlive a kill: each is on disk before the next one begins.

Every process of a run appends to a file of its own. When all are done, one of them writes the
whole, in the order of the prompts, and the parts are removed. A run that is started again reads
whatever whole and parts there are, however many processes wrote them.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gemma_mtp_edu.language import tr

SCHEMA = "gemma_mtp_edu.results/1"
Result = dict[str, Any]


class ResultsError(ValueError):
    """A file of results cannot be gone on with."""


def part_of(out: Path, process: int) -> Path:
    """Return the file to which a process appends."""
    return out.with_name(f"{out.name}.part-{process}")


def append(path: Path, result: Mapping[str, Any]) -> Result:
    """Append a result and return it as `read` will; it is on disk then."""
    line = json.dumps({**result, "schema": SCHEMA}, ensure_ascii=False)
    with path.open("ab+") as file:
        # The line before may have been cut off by a kill; it must not spoil this one.
        if file.seek(0, os.SEEK_END) and not _ends_a_line(file):
            file.write(b"\n")
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    written: Result = json.loads(line)
    return written


def read(out: Path, run: Mapping[str, Any]) -> dict[str, Result]:
    """Return the results so far of the whole and of all parts, by key.

    Args:
        out: The file of results.
        run: What must be the same for all results of a file, such as pair and plan.

    Raises:
        ResultsError: A result is of another run or another schema.
    """
    found: dict[str, Result] = {}
    for path in [out, *sorted(out.parent.glob(f"{out.name}.part-*"))]:
        for line in path.read_bytes().splitlines() if path.exists() else ():
            result = _parsed(line)
            if result is None:
                continue
            _check(result, run, path)
            found[result["key"]] = result
    return found


def write_whole(out: Path, results: Iterable[Mapping[str, Any]]) -> None:
    """Replace the whole by these results, then remove the parts."""
    partial = out.with_name(f"{out.name}.partial")
    partial.unlink(missing_ok=True)
    for result in results:
        append(partial, result)
    partial.replace(out)
    for part in out.parent.glob(f"{out.name}.part-*"):
        part.unlink()


def check_writable(path: Path) -> None:
    """Raise where a file cannot be written, before anything is measured for it.

    Raises:
        ResultsError: Its folder is missing or closed to writing, or it is a folder itself.
    """
    folder = path.absolute().parent
    if not folder.is_dir() or path.is_dir() or not os.access(folder, os.W_OK):
        raise ResultsError(
            tr(
                "cannot write {path}: need a file in a folder that exists and can be written to",
                path=path,
            )
        )


def write_text(path: Path, text: str) -> None:
    """Write a whole file, or leave the one before it as it was."""
    if path.exists() and not path.is_file():  # such as /dev/stdout
        path.write_text(text, encoding="utf-8")
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def _parsed(line: bytes) -> Result | None:
    """Return a result, or None for a line that a kill cut off."""
    try:
        result = json.loads(line)
    except ValueError:
        return None
    return result if isinstance(result, dict) and "key" in result else None


def _check(result: Result, run: Mapping[str, Any], path: Path) -> None:
    wanted = {"schema": SCHEMA, "run": dict(run)}
    got = {name: result.get(name) for name in wanted}
    if got != wanted:
        raise ResultsError(
            tr(
                "{name} holds results of another run ({got}), this one is {wanted}: name "
                "another file with --out, or remove this one",
                name=path.name,
                got=got,
                wanted=wanted,
            )
        )
