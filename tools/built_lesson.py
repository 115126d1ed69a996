"""A built lesson as the rules see it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from tools.lessons import JAPANESE
from tools.links import headings


@dataclass(frozen=True, slots=True)
class Lesson:
    """A built lesson and what it is compared with.

    Args:
        name: Such as `00_first_run` or `ja/00_first_run`.
        notebook: The notebook as it was read.
        size: Bytes of its file.
        source: The text of its source.
        slug: OWNER/NAME that its buttons should name.
    """

    name: str
    notebook: NotebookNode
    size: int
    source: str
    slug: str

    @property
    def language(self) -> str:
        """The language of its text."""
        return JAPANESE if self.name.startswith(f"{JAPANESE}/") else "en"

    @property
    def code(self) -> list[NotebookNode]:
        """The code cells."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def markdown(self) -> list[NotebookNode]:
        """The markdown cells, without the buttons."""
        cells = [cell for cell in self.notebook.cells if cell.cell_type == "markdown"]
        return [cell for cell in cells if "buttons" not in tags(cell)]

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and text of every heading; a `#` in a code block is none."""
        return headings("\n\n".join(cell.source for cell in self.markdown))


Rule = Callable[[Lesson], Iterator[str]]


def tags(cell: NotebookNode) -> list[str]:
    """Return a cell's tags."""
    return list(cell.metadata.get("tags", []))


def first_line(cell: NotebookNode) -> str:
    """Return what to call a cell in a message."""
    return repr(cell.source.strip().split("\n")[0][:50])


def outputs(lesson: Lesson) -> Iterator[tuple[NotebookNode, NotebookNode]]:
    """Return every output with the cell that made it."""
    for cell in lesson.code:
        for output in cell.outputs:
            yield cell, output
