"""Building gives the same bytes twice, and nbval finds a wrong stored value."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from tests.cases import beside
from tools.lessons import CHECKED, ROOT, has_cells_of, read_notebook, write_notebook
from tools.notebooks import build, differences

SOURCE = beside(__file__, ".py.txt")
# Differs at every run, in ways that must not count.
VARYING = beside(__file__, ".varying.py.txt")


# As in `make nbval`.
NBVAL = ("--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider")


@pytest.fixture
def lesson(tmp_path: Path) -> tuple[Path, Path]:
    source = tmp_path / "notebooks" / "src" / "tiny.py"
    source.parent.mkdir(parents=True)
    source.write_text(SOURCE)
    shutil.copy(ROOT / "notebooks" / "conftest.py", tmp_path / "notebooks")
    return source, tmp_path / "notebooks" / "tiny.ipynb"


def run_nbval(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run nbval as `make nbval` does."""
    command = [sys.executable, "-m", "pytest", *NBVAL, str(folder)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_build_is_repeatable(lesson: tuple[Path, Path]) -> None:
    source, notebook = lesson
    build(source.read_text(), notebook)
    first = notebook.read_bytes()
    build(source.read_text(), notebook)
    assert notebook.read_bytes() == first
    assert has_cells_of(read_notebook(notebook), source.read_text())


def test_nbval_compares_the_text_of_checked_cells(lesson: tuple[Path, Path]) -> None:
    source, notebook = lesson
    source.write_text(f"{SOURCE}\n{VARYING}")
    build(source.read_text(), notebook)
    assert "4 passed" in run_nbval(notebook.parent).stdout
    stored = read_notebook(notebook)
    cells = [cell for cell in stored.cells if CHECKED in cell.metadata.get("tags", [])]
    assert len(cells) == 3
    for cell in cells:
        change_outputs(cell)
    write_notebook(stored, notebook)
    done = run_nbval(notebook.parent)
    assert done.returncode == 1
    assert "3 failed, 1 passed" in done.stdout


def test_a_failing_lesson_leaves_the_old_notebook(lesson: tuple[Path, Path]) -> None:
    source, notebook = lesson
    notebook.write_text("old")
    source.write_text("# %%\n1 / 0\n")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        build(source.read_text(), notebook)
    assert notebook.read_text() == "old"


def test_differences_are_named(lesson: tuple[Path, Path], tmp_path: Path) -> None:
    source, notebook = lesson
    assert differences(tmp_path) == ["tiny has not been built"]
    build(source.read_text(), notebook)
    assert differences(tmp_path) == []
    content = json.loads(notebook.read_text())
    content["cells"][0]["source"] = ["# Another title"]
    notebook.write_text(json.dumps(content))
    assert differences(tmp_path) == ["tiny differs from its source"]
    source.unlink()
    assert differences(tmp_path) == ["tiny has no source"]


class Comparing:
    """A plugin: for each notebook, the checked cells whose comparison cannot fail."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.blind: list[str] = []

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        for item in items:
            if CHECKED not in item.cell.metadata.get("tags", []):
                continue
            self.seen[item.parent.path.stem] += 1
            stored = deepcopy(item.cell.outputs)
            change_outputs(item.cell)
            compared = item.options["check"] and not item.options["skip"]
            if not compared or item.compare_outputs(stored, item.cell.outputs):
                self.blind.append(item.nodeid)


@pytest.mark.parametrize("folder", ["notebooks", "notebooks/ja"])
def test_every_checked_cell_of_every_lesson_can_fail(folder: str) -> None:
    """By nbval's own comparison with our settings, a cell is told from one that says other things.

    That nbval runs a cell before it compares it is shown with the tiny lesson above.
    """
    comparing, paths = Comparing(), sorted((ROOT / folder).glob("*.ipynb"))
    with mock.patch.dict(os.environ):  # which the notebooks' conftest.py sets
        pytest.main(["--collect-only", "-qq", *NBVAL, *map(str, paths)], plugins=[comparing])
    assert comparing.blind == []
    lessons = {path.stem for path in paths if not path.stem.startswith("solutions_")}
    assert lessons <= comparing.seen.keys()


def change_outputs(cell: NotebookNode) -> None:
    for output in cell.outputs:
        if output.output_type == "stream":
            output.text += "!"
        elif "text/plain" in output.get("data", {}):
            output.data["text/plain"] += "!"
