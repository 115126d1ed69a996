"""Where lessons lie, and how their sources and notebooks are read and written; no execution here.

Authors edit `notebooks/src/NN_name.py` (py:percent). Readers open `notebooks/NN_name.ipynb`, or
`notebooks/ja/NN_name.ipynb`, which is made of the same source and of its translation.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode
from selectolax.lexbor import LexborHTMLParser

ROOT = Path(__file__).resolve().parents[1]
FORMAT = "py:percent"
CHECKED = "nbval-check-output"
TAGS = frozenset({"buttons", "setup", "language", "timing", "parameters", CHECKED})
ENGLISH, JAPANESE = "en", "ja"
# The Python patch release, widget models and time stamps would change at every build, and
# `metadata.widgets` without state shows "Invalid Notebook" on GitHub (colabtools#5288).
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {  # without all of these nbconvert writes a script as .txt
        "name": "python", "file_extension": ".py", "mimetype": "text/x-python",
        "pygments_lexer": "ipython3",
    },
}  # fmt: skip
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def sources(root: Path = ROOT) -> list[Path]:
    """Return the source of every lesson, in reading order."""
    return sorted((root / "notebooks" / "src").glob("*.py"))


def chosen(names: Sequence[str]) -> list[Path]:
    """Return the sources of lessons by name, or all where none is named.

    Raises:
        SystemExit: There is no such lesson.
    """
    known = {source.stem: source for source in sources()}
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"no lesson named {', '.join(unknown)}; there are: {', '.join(known)}")
    return [known[name] for name in names or known]


def notebook_of(source: Path, root: Path = ROOT, language: str = ENGLISH) -> Path:
    """Return the notebook in a language that is built from a source."""
    return _folder(root, language) / f"{source.stem}.ipynb"


def source_of(notebook: Path, root: Path = ROOT) -> Path:
    """Return the source that a notebook, in either language, is built from."""
    return root / "notebooks" / "src" / f"{notebook.stem}.py"


def notebooks(root: Path = ROOT, language: str = ENGLISH) -> list[Path]:
    """Return every notebook in a language, in reading order."""
    return sorted(_folder(root, language).glob("*.ipynb"))


def _folder(root: Path, language: str) -> Path:
    return root / "notebooks" / ("" if language == ENGLISH else language)


def lesson_name(notebook: Path, root: Path = ROOT) -> str:
    """Return a notebook's name as addresses need it: `00_first_run` or `ja/00_first_run`."""
    return notebook.relative_to(root / "notebooks").with_suffix("").as_posix()


def parse_source(text: str) -> NotebookNode:
    """Return a source's cells as a notebook without outputs."""
    return normalised(jupytext.reads(text, fmt=FORMAT))


def has_cells_of(notebook: NotebookNode, source_text: str) -> bool:
    """Return whether a notebook has the cells of a source: their kind, text and tags.

    Cells are compared, not files: ruff and jupytext put different numbers of blank lines around a
    cell that begins with a function, and neither number can be seen in the notebook.
    """
    wanted = parse_source(source_text).cells
    return [_content(cell) for cell in notebook.cells] == [_content(cell) for cell in wanted]


def _content(cell: NotebookNode) -> tuple[str, str, list[str]]:
    return cell.cell_type, cell.source, sorted(cell.metadata.get("tags", []))


def read_notebook(path: Path) -> NotebookNode:
    """Return a notebook, not yet normalised."""
    return nbformat.read(path, as_version=4)


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook in its normal form; equal content gives equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = nbformat.writes(normalised(notebook))
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8", newline="\n")


def normalised(notebook: NotebookNode) -> NotebookNode:
    """Return a copy with nothing in it but what the lesson says, in a form that never varies.

    The fields to keep are listed, not those to drop, so that a field invented tomorrow stays out.
    """
    seen: Counter[str] = Counter()
    cells = [_clean_cell(cell, seen) for cell in notebook.cells]
    return nbformat.v4.new_notebook(cells=cells, metadata=nbformat.from_dict(METADATA))


def _clean_cell(cell: NotebookNode, seen: Counter[str]) -> NotebookNode:
    tags = sorted(cell.metadata.get("tags", []))
    if cell.source.startswith('PAIR = "') and not tags:
        tags = ["parameters"]  # papermill puts a caller's values after this cell
    # Blank lines at a cell's ends are the formatter's.
    cell = NotebookNode(cell, source=cell.source.strip("\n"))
    fields: dict[str, Any] = {"id": _cell_id(cell, seen), "source": cell.source}
    fields["metadata"] = {"tags": tags} if tags else {}
    if cell.cell_type != "code":
        return nbformat.v4.new_markdown_cell(**fields)
    # What nbval compares must stay as the kernel says it.
    named = [_clean_output(output, CHECKED not in tags) for output in cell.get("outputs", [])]
    outputs = _joined_streams(named)
    count = cell.get("execution_count")
    return nbformat.v4.new_code_cell(**fields, outputs=outputs, execution_count=count)


def _cell_id(cell: NotebookNode, seen: Counter[str]) -> str:
    # Derived from the content, so that a build needs no old notebook to give the same ids again and
    # an inserted cell leaves the ids of all others alone.
    key = f"{cell.cell_type}\n{cell.source}"
    seen[key] += 1
    return hashlib.sha256(f"{key}\n{seen[key]}".encode()).hexdigest()[:12]


def _clean_output(output: NotebookNode, in_words: bool) -> NotebookNode:
    cleaned = NotebookNode(output)
    if "data" in cleaned:
        # A widget's view names a model that dies with the kernel; its text stays.
        kept = {mime: data for mime, data in cleaned.data.items() if mime != WIDGET_VIEW}
        if in_words and kept.get("text/plain", "").startswith("<IPython.core.display.HTML"):
            kept["text/plain"] = " ".join(LexborHTMLParser(kept["text/html"]).text().split())
        cleaned.data = NotebookNode(kept)
    return cleaned


def _joined_streams(outputs: Any) -> list[NotebookNode]:
    # Where the kernel cuts a stream into messages depends on time.
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined
