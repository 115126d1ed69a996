"""Run lessons and write how much memory each of them took at most.

    python -m tools.lesson_memory [NN_name ...]

Each lesson runs from top to bottom in a kernel of its own, and the system says at the end how much
that held at most, and the largest of the processes that it started. Their sum is what is written.
"""

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat

from tools.document import table, write_parts
from tools.lessons import ROOT, chosen, parse_source, sources
from tools.notebooks import executed

RESULT = ROOT / "docs" / "memory.json"
DOCUMENT = ROOT / "docs" / "memory.md"
LIMIT = 1_500_000_000
PACKAGES = ("torch", "transformers", "numpy", "matplotlib", "ipywidgets", "ipykernel")
# ru_maxrss: KiB on Linux, bytes on macOS.
_LAST_CELL = """
import resource, sys
unit = 1 if sys.platform == "darwin" else 1024
who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
print(unit * sum(resource.getrusage(w).ru_maxrss for w in who))
"""


def peak_of(cells: nbformat.NotebookNode, folder: Path) -> int:
    """Run a notebook in a fresh kernel and return the bytes that it held at most.

    Raises:
        CellExecutionError: A cell failed.
    """
    cells.cells.append(nbformat.v4.new_code_cell(_LAST_CELL))
    executed(cells, folder)
    # A busy machine sends the number and its line end apart.
    return int("".join(o.text for o in cells.cells[-1].outputs if o.get("name") == "stdout"))


def conditions() -> dict[str, Any]:
    """Return what the numbers depend on."""
    releases = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "system": platform.system(), **releases}


def memory_table(record: dict[str, Any]) -> str:
    """Return the stored peaks in Markdown, the largest first."""
    peaks = sorted(record["peaks"].items(), key=lambda item: -item[1])
    rows = [[f"`{name}`", f"{peak / 1e9:.2f} GB"] for name, peak in peaks]
    told = ", ".join(f"{name} {value}" for name, value in record["conditions"].items())
    return f"{table(['lesson', 'peak'], rows)}\n\nConditions: {told}."


def main(names: Sequence[str]) -> int:
    """Measure lessons, keep the others' numbers, write both files and return the exit code."""
    known = {source.stem for source in sources()}
    old = json.loads(RESULT.read_text(encoding="utf-8"))["peaks"] if RESULT.exists() else {}
    peaks = {name: peak for name, peak in old.items() if name in known}
    for source in chosen(names):
        cells = parse_source(source.read_text(encoding="utf-8"))
        peaks[source.stem] = peak_of(cells, ROOT / "notebooks")
        print(f"{source.stem} {peaks[source.stem] / 1e9:.2f} GB", flush=True)
    record = {"conditions": conditions(), "peaks": dict(sorted(peaks.items()))}
    RESULT.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_parts(DOCUMENT, {"memory": memory_table(record)})
    return int(max(peaks.values()) > LIMIT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
