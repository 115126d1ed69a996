"""Read the list of faults, put one into a text, and write the table of a run."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).with_name("faults.toml")
TABLE = ROOT / "docs/mutation.md"
HEADING = """\
# Faults that the tests find

Each line below was put alone into a copy of the package, and the tests that belong to it were run:
`make mutation`, which writes this file. *Caught by* is the first test that failed.
"""


class StaleFaultError(ValueError):
    """A fault's old text is not in its file exactly once, so it says nothing any more."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong line.

    Attributes:
        file: Path in the repository.
        old: Text that the file has exactly once, within one line.
        new: What stands there instead.
        why: What goes wrong.
        tests: Arguments for pytest: the files, and perhaps `-k`, that should find it.
    """

    file: str
    old: str
    new: str
    why: str
    tests: tuple[str, ...]


def read_faults(path: Path = FAULTS) -> list[Fault]:
    """Return the faults of a list."""
    entries = tomllib.loads(path.read_text(encoding="utf-8"))["fault"]
    return [Fault(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def mutated(fault: Fault, root: Path) -> str:
    """Return the file's text with the fault in it.

    Raises:
        StaleFaultError: The old text is not there exactly once.
    """
    text = (root / fault.file).read_text(encoding="utf-8")
    if (count := text.count(fault.old)) != 1:
        raise StaleFaultError(
            f"{fault.file} has {count} times {fault.old!r}, need it exactly once: the code has "
            "moved on, so give the fault its new text, or drop it where it no longer makes sense"
        )
    return text.replace(fault.old, fault.new)


def page(caught_by: Mapping[Fault, str]) -> str:
    """Return the table of a run: each fault with the test that found it, or with nothing."""
    releases = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "pytest"))
    caught = sum(map(bool, caught_by.values()))
    lines = [
        HEADING,
        f"{caught} of {len(caught_by)} faults are caught. Run with {releases}.",
        "",
        "| file | line | with the fault | what goes wrong | caught by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for fault, by in caught_by.items():
        cells = (Path(fault.file).name, _code(fault.old), _code(fault.new), fault.why)
        lines.append(f"| {' | '.join(cells)} | {by.split('::')[-1] or '**nothing**'} |")
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """Return code for a cell of a table; pipes and backticks would end it."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text.strip()}{fence}".replace("|", r"\|")
