"""Export the lessons' figures for slides, each as PNG and SVG with its alt text.

    python -m tools.slides FOLDER [NN_name ...]

The code cells of each lesson are run as they stand, and every figure that they show is written: a
slide can never show anything else than the lesson does. `index.md` has all of them with their
alt texts.
"""

import io
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest import mock

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemma_mtp_edu.show import style
from tools.lessons import chosen, parse_source
from tools.notebooks import KERNEL_ENVIRONMENT

DOTS_PER_INCH = 200


@dataclass(frozen=True)
class Slide:
    """A written figure: its name without a suffix, its lesson's section, and its alt text."""

    name: str
    section: str
    alt: str


def code_cells(source: Path) -> list[tuple[str, str]]:
    """Return a lesson's code cells but the setup cell, each with the heading above it."""
    heading, cells = "", []
    for cell in parse_source(source.read_text(encoding="utf-8")).cells:
        if cell.cell_type == "markdown":
            headings = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = headings[-1].lstrip("# ") if headings else heading
        elif "setup" not in cell.metadata.get("tags", []):
            cells.append((heading, cell.source))
    return cells


def export(source: Path, folder: Path) -> list[Slide]:
    """Run a lesson and write every figure that it shows into a folder."""
    slides: list[Slide] = []
    section = [""]

    def write(drawn: Axes | Figure, alt: str = "") -> None:
        figure, alt = cast(Figure, drawn.figure), alt or str(drawn.get_label())
        slide = Slide(f"{source.stem}-{len(slides) + 1}", section[0], alt)
        for suffix in ("png", "svg"):
            # A title in the file, for the programs that read one aloud; no date.
            metadata = {"Title": alt} | ({"Date": None} if suffix == "svg" else {})
            path = folder / f"{slide.name}.{suffix}"
            figure.savefig(path, dpi=DOTS_PER_INCH, bbox_inches="tight", metadata=metadata)
        slides.append(slide)
        plt.close(figure)

    namespace: dict[str, Any] = {"__name__": "__main__"}
    # What a lesson prints is not wanted here.
    with mock.patch.object(style, "show_figure", write), redirect_stdout(io.StringIO()):
        for section[0], code in code_cells(source):
            exec(compile(code, source.name, "exec"), namespace)
    return slides


def index(slides: Iterable[Slide]) -> str:
    """Return a page with all figures, each under its section."""
    parts = [
        f"## {slide.name}: {slide.section}\n\n![{_escaped(slide.alt)}]({slide.name}.svg)\n"
        for slide in slides
    ]
    return "\n".join(["# Figures of the lessons\n", *parts])


def _escaped(alt: str) -> str:
    return alt.replace("\\", "\\\\").replace("[", r"\[").replace("]", r"\]")


def main(arguments: Sequence[str]) -> int:
    """Export the lessons that are named, or all, and return the exit code."""
    if not arguments:
        print("need a folder: python -m tools.slides FOLDER [NN_name ...]", file=sys.stderr)
        return 2
    folder, names = Path(arguments[0]), arguments[1:]
    lessons = [lesson for lesson in chosen(names) if names or lesson.stem[0].isdigit()]
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.update(KERNEL_ENVIRONMENT)  # offline, no progress bars
    matplotlib.use("Agg")
    slides = [slide for source in lessons for slide in export(source, folder)]
    (folder / "index.md").write_text(index(slides), encoding="utf-8")
    print(f"{len(slides)} figures in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
