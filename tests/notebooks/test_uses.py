"""What is done with a lesson besides reading it: cells run twice, other formats, other values."""

import os
from copy import deepcopy
from pathlib import Path

import nbconvert
import pytest

from tests.cases import beside
from tools.lessons import parse_source, read_notebook, sources
from tools.notebooks import build, executed

# The longest ones; all with ALL_LESSONS=1, which takes a quarter of an hour.
LONGEST = ("04_write_the_loop", "06_inside_the_drafter", "12_real_checkpoints")
CHOSEN = [s for s in sources() if s.stem in LONGEST or "ALL_LESSONS" in os.environ]
SOURCE = beside(__file__, ".py.txt")


@pytest.mark.slow
@pytest.mark.parametrize("source", CHOSEN, ids=lambda source: source.stem)
def test_every_cell_runs_twice_in_a_row(source: Path, tmp_path: Path) -> None:
    lesson = parse_source(source.read_text(encoding="utf-8"))
    lesson.cells = [c for cell in lesson.cells for c in (cell, deepcopy(cell))]
    for number, cell in enumerate(lesson.cells):
        cell["id"] = f"cell-{number}"
    executed(lesson, tmp_path)


def test_exports_have_pictures_and_words(tmp_path: Path) -> None:
    build(SOURCE, tmp_path / "one.ipynb")
    notebook = read_notebook(tmp_path / "one.ipynb")
    assert [cell.metadata.get("tags") for cell in notebook.cells] == [["parameters"], None, None]
    for kind in ("Script", "HTML", "Slides", "Markdown", "Latex"):
        exporter = getattr(nbconvert, f"{kind}Exporter")()
        for name in ("convert_pandoc", "resolve_references"):  # no pandoc is needed
            exporter.register_filter(name, lambda text, *_, **__: text)
        text, found = exporter.from_notebook_node(notebook)
        assert "<IPython" not in text and "prompt_ids=" not in text
        if kind == "Script":
            assert found["output_extension"] == ".py"
            continue
        assert "prefix" in text or "tokens in 1 target pass" in text
        assert "of the page" in text or "<b>of</b> the page" in text
        assert "png" in text and (kind == "Latex" or "Said of the figure." in text)
