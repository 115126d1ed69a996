"""Build notebooks from their sources: `python -m tools.notebooks [--language ja] [NN_name ...]`.

A notebook is built whole: no old output is used, so none can outlive the code that made it.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from tools import lessons, translation

# Lessons use the bundled pair: no network, and no progress bars in what is committed.
KERNEL_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
}
CELL_SECONDS = 600


def build(source: str, notebook: Path) -> None:
    """Execute a source from top to bottom in a fresh kernel and write its notebook.

    Args:
        source: Its text.
        notebook: Where to write.

    Raises:
        CellExecutionError: A cell failed; the old notebook is left as it was.
    """
    cells = lessons.parse_source(source)
    notebook.parent.mkdir(parents=True, exist_ok=True)
    executed(cells, notebook.parent)
    lessons.write_notebook(cells, notebook)


def executed(cells: NotebookNode, folder: Path) -> NotebookNode:
    """Run a notebook's cells in a fresh kernel that works in a folder, and return it."""
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(cells, timeout=CELL_SECONDS, kernel_name="python3", resources=resources)
    return client.execute(env=os.environ | KERNEL_ENVIRONMENT)


def text_of(source: Path, language: str = lessons.ENGLISH, root: Path = lessons.ROOT) -> str:
    """Return what a notebook in a language is built from."""
    if language == lessons.JAPANESE:
        return translation.edition(source, root)
    return source.read_text(encoding="utf-8")


def differences(root: Path = lessons.ROOT, language: str = lessons.ENGLISH) -> list[str]:
    """Return one sentence for each source and notebook that do not belong together."""
    built = [lessons.notebook_of(source, root, language) for source in lessons.sources(root)]
    found = [f"{lessons.lesson_name(p, root)} has not been built" for p in built if not p.exists()]
    for path in lessons.notebooks(root, language):
        if path not in built:
            found.append(f"{lessons.lesson_name(path, root)} has no source")
        elif not lessons.has_cells_of(
            lessons.read_notebook(path), text_of(lessons.source_of(path, root), language, root)
        ):
            found.append(f"{lessons.lesson_name(path, root)} differs from its source")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Build lessons and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks")
    parser.add_argument("names", nargs="*", help="lessons such as 00_first_run; all by default")
    parser.add_argument(
        "--language", choices=(lessons.ENGLISH, lessons.JAPANESE), default=lessons.ENGLISH
    )
    args = parser.parse_args(arguments)
    if args.language == lessons.JAPANESE and (wrong := translation.complaints()):
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    for source in lessons.chosen(args.names):
        start = time.perf_counter()
        print(f"{source.stem} ...", end=" ", flush=True)
        try:
            build(
                text_of(source, args.language), lessons.notebook_of(source, language=args.language)
            )
        except CellExecutionError as error:
            print(f"failed\n{error}", file=sys.stderr)
            return 1
        print(f"{time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
