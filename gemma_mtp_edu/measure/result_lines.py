"""Results as JSON lines that outlive a kill: each is on disk before the next one begins.

Every process of a run appends to a file of its own. When all are done, one of them writes the
whole, in the order of the prompts, and the parts are removed. A run that is started again reads
whatever whole and parts there are, however many processes wrote them.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gemma_mtp_edu.lessons.language import tr

SCHEMA = "gemma_mtp_edu.results/1"
Result = dict[str, Any]
# What the report asks of a result: of each, of a prompt's with its rows, of a context's.
_COMMON = {"key": str, "kind": str, "run": dict, "conditions": dict, "peak_memory_bytes": int}
_PROMPT = {"prompt": str, "workload": str, "prompt_tokens": int, "rows": list}
_ROW = {"method": str, "gamma": int, "seconds": float, "tokens": int, "same_text": bool}
_CONTEXT = {"context": int, "cost": str}


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
        ResultsError: A result is of another run or another schema, or a line is no result: the file
            is something else, which `write_whole` would overwrite; or it is no file.
    """
    found: dict[str, Result] = {}
    check_lines(out)
    for path in [out, *_parts(out)]:
        lines = path.read_bytes().splitlines() if path.exists() else ()
        for number, line in enumerate(lines, 1):
            result = _parsed(line)
            # Only a part can hold lines that a kill cut off: the whole is written at once.
            if result is None and path != out:
                continue
            if not _is_result(result):
                raise ResultsError(
                    tr(
                        "line {number} of {name} is {line!r:.60}, need results of this release: "
                        "that file may be something else, so name another one with --out, or "
                        "remove it",
                        number=number,
                        name=path.name,
                        line=line.decode(errors="replace"),
                    )
                )
            _check(result, run, path)
            found[result["key"]] = result
    return found


def write_whole(out: Path, results: Iterable[Mapping[str, Any]]) -> None:
    """Replace the whole by these results, then remove the parts."""
    with _replaced(out) as partial:
        for result in results:
            append(partial, result)
    for part in _parts(out):
        part.unlink()


def check_writable(path: Path) -> None:
    """Raise where a file cannot be written, before anything is measured for it.

    Raises:
        ResultsError: Its folder is missing or closed to writing, its name is too long, or it is a
            folder itself.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError
        if _is_special(path):
            return
        # Each process looks, maybe at the same time.
        for place in {path.absolute(), path.resolve()}:
            trial = place.with_name(f"{place.name}.partial-{os.getpid()}")
            trial.touch()
            trial.unlink(missing_ok=True)
    except OSError as error:
        raise ResultsError(
            tr(
                "cannot write {path}: need a file in a folder that exists and can be written to",
                path=path,
            )
        ) from error


def check_lines(out: Path) -> None:
    """Raise unless results can be appended to a file, and the file be replaced at the end.

    Raises:
        ResultsError: It is a device or a pipe, which would be replaced by a file.
    """
    if _is_special(out):
        raise ResultsError(
            tr("{path} is no file that can be replaced, need one for results: name it", path=out)
        )


def write_text(path: Path, text: str) -> None:
    """Write a whole file, or leave the one before it as it was."""
    if _is_special(path):  # such as /dev/stdout
        path.write_text(text, encoding="utf-8")
        return
    with _replaced(path) as partial:
        partial.write_text(text, encoding="utf-8")


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """Give a file to write, and put it in the place of `path` once it is whole."""
    place = path.resolve()  # a link stays one
    partial = _partial(place)
    partial.unlink(missing_ok=True)
    try:
        yield partial
        if place.exists():
            shutil.copymode(place, partial)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _parts(out: Path) -> list[Path]:
    """Return the files that processes appended to, and no other that is only called like them."""
    name = re.compile(rf"{re.escape(out.name)}\.part-\d+")
    folder = out.parent
    parts = [path for path in folder.iterdir() if name.fullmatch(path.name)]
    return sorted(parts)


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")


def _parsed(line: bytes) -> Any:
    """Return what a line holds, or None for one that a kill cut off."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_result(result: Any) -> bool:
    """Say whether this is a result with all that the report asks for."""
    if not _has(result, _COMMON) or not _has(result["conditions"], {"pair": str}):
        return False
    kind = result["kind"]
    if kind == "prompt" and _has(result, _PROMPT):
        return bool(result["rows"]) and all(_has(row, _ROW) for row in result["rows"])
    return kind == "context" and _has(result, _CONTEXT)


def _has(record: Any, fields: Mapping[str, type]) -> bool:
    return isinstance(record, dict) and all(
        isinstance(record.get(name), kind) for name, kind in fields.items()
    )


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
