"""The table of a run: `docs/mutation.md`."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tools.mutation.faults import ROOT, Fault
from tools.mutation.runner import Run

TABLE = ROOT / "docs/mutation.md"
HEADING = """\
# Faults that the tests find

Each line below was put alone into a copy of the package, and the tests that belong to it were run:
`make mutation`, which writes this file. *Caught by* is the first test that failed.
"""


def rows(results: Sequence[tuple[Fault, Run]]) -> list[str]:
    """Return the table's lines."""
    lines = [
        "| file | line | with the fault | what goes wrong | caught by |",
        "| --- | --- | --- | --- | --- |",
    ]
    for fault, run in results:
        cells = (Path(fault.file).name, _code(fault.old), _code(fault.new), fault.why)
        by = run.by.split("::")[-1] if run.verdict == "caught" else f"**{run.verdict}**"
        lines.append(f"| {' | '.join(cells)} | {by} |")
    return lines


def page(results: Sequence[tuple[Fault, Run]]) -> str:
    """Return the whole file."""
    caught = sum(run.verdict == "caught" for _, run in results)
    releases = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "pytest"))
    count = f"{caught} of {len(results)} faults are caught. Run with {releases}."
    return "\n".join([HEADING, count, "", *rows(results)]) + "\n"


def _code(text: str) -> str:
    """Return code for a cell of a table; pipes and backticks would end it."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text.strip()}{fence}".replace("|", r"\|")
