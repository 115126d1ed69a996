"""Build the notebooks from their sources, and check that they belong together.

    python -m tools.notebooks build [NN_name ...]
    python -m tools.notebooks check

A notebook is built whole: no old output is used, so none can outlive the code that made it.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tools.lessons import (
    ROOT,
    has_cells_of,
    notebook_of,
    notebooks,
    parse_source,
    read_notebook,
    source_of,
    sources,
    write_notebook,
)

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
    cells = parse_source(source)
    folder = notebook.parent
    folder.mkdir(parents=True, exist_ok=True)
    client = NotebookClient(
        cells,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=os.environ | KERNEL_ENVIRONMENT)
    write_notebook(client.nb, notebook)


def differences(root: Path = ROOT) -> list[str]:
    """Return one sentence for each source and notebook that do not belong together."""
    built = {notebook_of(source, root) for source in sources(root)}
    found = [f"{path.name} has not been built" for path in sorted(built) if not path.exists()]
    for path in notebooks(root):
        if path not in built:
            found.append(f"{path.name} has no source")
        elif not has_cells_of(read_notebook(path), source_of(path, root).read_text("utf-8")):
            found.append(f"{path.name} differs from its source")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    args = _parser().parse_args(arguments)
    if args.command == "build":
        return build_all(args.names, _english)
    found = differences()
    for sentence in found:
        print(f"{sentence}: run  make notebooks", file=sys.stderr)
    return 1 if found else 0


def build_all(names: Sequence[str], to_build: Callable[[Path], tuple[str, Path]]) -> int:
    """Build lessons, all by default, and return the exit code.

    Args:
        names: Lessons such as `00_first_run`.
        to_build: Gives for a source the text to build and the notebook to write.
    """
    known = {source.stem: source for source in sources()}
    if unknown := [name for name in names if name not in known]:
        have = ", ".join(known)
        print(f"no lesson named {', '.join(unknown)}; there are: {have}", file=sys.stderr)
        return 2
    for name in names or known:
        start = time.perf_counter()
        print(f"{name} ...", end=" ", flush=True)
        try:
            build(*to_build(known[name]))
        except CellExecutionError as error:
            print(f"failed\n{error}", file=sys.stderr)
            return 1
        print(f"{time.perf_counter() - start:.0f} s")
    return 0


def _english(source: Path) -> tuple[str, Path]:
    return source.read_text(encoding="utf-8"), notebook_of(source)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="execute sources and write their notebooks")
    building.add_argument("names", nargs="*", help="lessons such as 00_first_run; all by default")
    commands.add_parser("check", help="fail unless every notebook is its source")
    return parser


if __name__ == "__main__":
    sys.exit(main())
