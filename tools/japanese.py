"""The Japanese edition: what there is to translate, and the notebooks that come of it.

    python -m tools.japanese build [NN_name ...]
    python -m tools.japanese list NN_name     every English paragraph with its hash
    python -m tools.japanese todo NN_name     those without a translation, as entries to fill in
    python -m tools.japanese check            fail where a paragraph or notebook is missing or stale

A notebook is made of the English source: its code cells as they are, its text by paragraph from
`notebooks/src/ja`, and one cell more, which chooses the language.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import jupytext
from nbformat.v4 import new_code_cell, new_notebook

from tools import translation
from tools.buttons import buttons, repository_slug
from tools.lessons import (
    FORMAT,
    JAPANESE,
    METADATA,
    ROOT,
    has_cells_of,
    japanese_notebooks,
    lesson_name,
    parse_source,
    read_notebook,
    sources,
)
from tools.notebooks import build_all
from tools.translation_rules import RULES

LANGUAGE_CELL = 'lesson.language("ja")'


def as_entries(paragraphs: dict[str, str]) -> str:
    """Return paragraphs in the form of a file of translations."""
    return "\n\n".join(f"<!-- en {key} -->\n{text}" for key, text in paragraphs.items())


def edition(source: Path, root: Path = ROOT) -> str:
    """Return a lesson's Japanese source in the form of the English one.

    Raises:
        KeyError: A paragraph has no translation; `complaints` says which.
    """
    have = translation.translations(source.stem, root)
    name = f"{JAPANESE}/{source.stem}"
    cells = []
    for cell in parse_source(source.read_text(encoding="utf-8")).cells:
        tags = cell.metadata.get("tags", [])
        if "buttons" in tags:
            cell.source = "\n".join(buttons(repository_slug(root), name))
        elif cell.cell_type == "markdown":
            cell.source = translation.translated(cell.source, have)
        cells.append(cell)
        if "setup" in tags:
            cells.append(new_code_cell(LANGUAGE_CELL, metadata={"tags": ["language"]}))
    return jupytext.writes(new_notebook(cells=cells, metadata=METADATA), fmt=FORMAT)


def differences(root: Path = ROOT) -> list[str]:
    """Return one sentence for each Japanese notebook that is not made of what there is."""
    built = {notebook_path(source, root): source for source in sources(root)}
    found = [f"{lesson_name(p, root)} has not been built" for p in built if not p.exists()]
    for path in japanese_notebooks(root):
        if path not in built:
            found.append(f"{lesson_name(path, root)} has no source")
        elif not has_cells_of(read_notebook(path), edition(built[path], root)):
            found.append(f"{lesson_name(path, root)} differs from its source")
    return found


def notebook_path(source: Path, root: Path = ROOT) -> Path:
    """Return the Japanese notebook that is built from an English source."""
    return root / "notebooks" / JAPANESE / f"{source.stem}.ipynb"


def complaints(root: Path = ROOT) -> list[str]:
    """Return one sentence for each paragraph that is missing or stale, or that breaks a rule."""
    found = []
    for source in sources(root):
        have = translation.translations(source.stem, root)
        english = translation.lesson_paragraphs(source.read_text(encoding="utf-8"))
        for key, text in english.items():
            if key not in have:
                found.append(f"{source.stem}: {key} is missing: {text.splitlines()[0][:60]!r}")
                continue
            wrong = (sentence for rule in RULES for sentence in rule(text, have[key]))
            found += [f"{source.stem}: {key} {sentence}" for sentence in wrong]
    for name, keys in translation.stale(root).items():
        found += [f"{name}: {key} is stale: its English has changed or is gone" for key in keys]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    args = _parser().parse_args(arguments)
    if args.command == "build":
        return _fail(complaints()) or build_all(
            args.names, lambda source: (edition(source), notebook_path(source))
        )
    if args.command == "check":
        return _fail(complaints()) or _fail(differences())
    known = {source.stem: source for source in sources()}
    for name in args.names or known:
        if name not in known:
            print(f"no lesson named {name}; there are: {', '.join(known)}", file=sys.stderr)
            return 2
        _show(known[name], todo=args.command == "todo")
    return 0


def _fail(sentences: Sequence[str]) -> int:
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1 if sentences else 0


def _show(source: Path, *, todo: bool) -> None:
    english = translation.lesson_paragraphs(source.read_text(encoding="utf-8"))
    wanted = translation.missing(source) if todo else english
    if wanted:
        print(as_entries(wanted), end="\n\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.japanese")
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="execute lessons and write their notebooks")
    building.add_argument("names", nargs="*", help="lessons such as 00_first_run; all by default")
    for command, text in (("list", "all paragraphs"), ("todo", "those not yet translated")):
        one = commands.add_parser(command, help=f"print {text} with their hashes")
        one.add_argument("names", nargs="*", help="lessons such as 00_first_run; all by default")
    commands.add_parser("check", help="fail where a paragraph or notebook is missing or stale")
    return parser


if __name__ == "__main__":
    sys.exit(main())
