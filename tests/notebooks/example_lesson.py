"""A tiny lesson that keeps every rule, for tests that break it in one place."""

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.built_lesson import Lesson
from tools.buttons import rewrite_source
from tools.lessons import CHECKED, normalised, parse_source

SLUG = "someone/somewhere"
NAME = "00_example"

BODY = Path(f"{__file__}.txt").read_text(encoding="utf-8")
SOURCE = rewrite_source(BODY, SLUG, NAME)


def built() -> NotebookNode:
    """Return the lesson as if it had been executed."""
    notebook = parse_source(SOURCE)
    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code":
            count += 1
            cell.execution_count = count
            if CHECKED in cell.metadata.get("tags", []):
                cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text="3\n")]
    return normalised(notebook)


def lesson(notebook: NotebookNode | None = None, **changes: object) -> Lesson:
    """Return the lesson, or one with another notebook, name, size or source."""
    notebook = built() if notebook is None else notebook
    fields = {"name": NAME, "notebook": notebook, "size": 1000, "source": SOURCE, "slug": SLUG}
    return Lesson(**(fields | changes))
