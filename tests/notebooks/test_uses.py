"""What is done with a lesson besides reading it: cells run twice, other formats, other values."""

import os
import re
from collections.abc import Iterator
from copy import deepcopy
from html import unescape
from pathlib import Path

import nbconvert
import pytest
from nbformat import NotebookNode

from tests.cases import beside
from tools.lessons import CHECKED, notebooks, parse_source, read_notebook, source_of, sources
from tools.notebooks import build, executed

# The longest ones; all with ALL_LESSONS=1, which takes a quarter of an hour.
LONGEST = ("04_write_the_loop", "06_inside_the_drafter", "12_real_checkpoints")
CHOSEN = [s for s in sources() if s.stem in LONGEST or "ALL_LESSONS" in os.environ]
BARE = re.compile(r"<[\w.]+( [^>]*)? at 0x|<(IPython|Figure|Axes)\b|prompt_ids=\(")
OF_PANDOC = ("convert_pandoc", "resolve_references", "convert_explicitly_relative_paths")
SOURCE = beside(__file__, ".py.txt")


@pytest.mark.slow
@pytest.mark.parametrize("source", CHOSEN, ids=lambda source: source.stem)
def test_every_cell_runs_twice_in_a_row(source: Path, tmp_path: Path) -> None:
    lesson = parse_source(source.read_text(encoding="utf-8"))
    lesson.cells = [c for cell in lesson.cells for c in (cell, deepcopy(cell))]
    for number, cell in enumerate(lesson.cells):
        cell["id"] = f"cell-{number}"
    executed(lesson, tmp_path)
    for cell, again in zip(lesson.cells[::2], lesson.cells[1::2], strict=True):
        if CHECKED in cell.metadata.get("tags", []):  # the others have times or random numbers
            one, other = ("".join(o.get("text", "") for o in c.outputs) for c in (cell, again))
            assert one == other  # joined: a busy machine sends a line in pieces


def exports(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """Yield a notebook in each format, with no bare name of an object in it."""
    for kind in ("Script", "HTML", "Slides", "Markdown", "Latex"):
        without_pandoc = dict.fromkeys(OF_PANDOC, lambda text, *_, **__: text)
        exporter = getattr(nbconvert, f"{kind}Exporter")(filters=without_pandoc)
        text, found = exporter.from_notebook_node(notebook)
        assert not BARE.search(unescape(text))
        assert kind != "Script" or found["output_extension"] == ".py"
        yield kind, text


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_what_a_lesson_shows_is_exported_as_picture_and_words(path: Path) -> None:
    notebook, pictures = read_notebook(path), 0
    for output in (o for cell in notebook.cells for o in cell.get("outputs", [])):
        data = output.get("data", {"text/plain": output.get("text")})
        assert data["text/plain"] and not BARE.search(data["text/plain"])
        for picture in re.findall("<img[^>]*>|<svg[^>]*>", data.get("text/html", "")):
            assert "image/png" in data and re.search('(alt|aria-label)="[^"]', picture)
        pictures += "image/png" in data
    for kind, text in exports(notebook) if source_of(path) in CHOSEN else ():
        shown = r"\\adjustimage\{" if kind == "Latex" else r'<img[^>]* alt="[^"]'
        assert kind == "Script" or len(re.findall(shown, text)) >= pictures


def test_exports_have_pictures_and_words(tmp_path: Path) -> None:
    build(SOURCE, tmp_path / "one.ipynb")
    notebook = read_notebook(tmp_path / "one.ipynb")
    assert [cell.metadata.get("tags") for cell in notebook.cells] == [["parameters"], None, None]
    for kind, text in [*exports(notebook)][1:]:  # all but the script
        assert "prefix" in text or "tokens in 1 target pass" in text
        assert "of the page" in text or "<b>of</b> the page" in text
        assert "png" in text and (kind == "Latex" or "Said of the figure." in text)
