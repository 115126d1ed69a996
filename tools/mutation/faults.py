"""Read the list of faults, and put one into a copy."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAULTS = Path(__file__).with_name("faults.toml")


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
    count = text.count(fault.old)
    if count != 1:
        raise StaleFaultError(
            f"{fault.file} has {count} times {fault.old!r}, need it exactly once: the code has "
            "moved on, so give the fault its new text, or drop it where it no longer makes sense"
        )
    return text.replace(fault.old, fault.new)
