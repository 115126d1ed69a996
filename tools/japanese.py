"""The Japanese edition: what is there to translate, and what is missing or stale.

python -m tools.japanese list NN_name     every English paragraph with its hash
python -m tools.japanese todo NN_name     those without a translation, as entries to fill in
python -m tools.japanese check            fail where a paragraph is missing or stale
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import translation
from tools.lessons import ROOT, sources


def as_entries(paragraphs: dict[str, str]) -> str:
    """Return paragraphs in the form of a file of translations."""
    return "\n\n".join(f"<!-- en {key} -->\n{text}" for key, text in paragraphs.items())


def complaints(root: Path = ROOT) -> list[str]:
    """Return one sentence for each paragraph that is missing or stale."""
    found = []
    for source in sources(root):
        for key, text in translation.missing(source, root).items():
            found.append(f"{source.stem}: {key} is missing: {text.splitlines()[0][:60]!r}")
    for name, keys in translation.stale(root).items():
        found += [f"{name}: {key} is stale: its English has changed or is gone" for key in keys]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit code."""
    args = _parser().parse_args(arguments)
    if args.command == "check":
        found = complaints()
        print("\n".join(found) or "all paragraphs are translated")
        return 1 if found else 0
    known = {source.stem: source for source in sources()}
    for name in args.names or known:
        if name not in known:
            print(f"no lesson named {name}; there are: {', '.join(known)}", file=sys.stderr)
            return 2
        _show(known[name], todo=args.command == "todo")
    return 0


def _show(source: Path, *, todo: bool) -> None:
    english = translation.lesson_paragraphs(source.read_text(encoding="utf-8"))
    wanted = translation.missing(source) if todo else english
    if wanted:
        print(as_entries(wanted), end="\n\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.japanese")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (("list", "all paragraphs"), ("todo", "those not yet translated")):
        one = commands.add_parser(command, help=f"print {text} with their hashes")
        one.add_argument("names", nargs="*", help="lessons such as 00_first_run; all by default")
    commands.add_parser("check", help="fail where a paragraph is missing or stale")
    return parser


if __name__ == "__main__":
    sys.exit(main())
