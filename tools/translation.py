"""Translated paragraphs: how they are stored, what is missing or stale, the edition made of them.

    python -m tools.translation todo [NN_name ...]   what is missing, as entries to fill in
    python -m tools.translation check                what is missing or stale; broken rules fail

`notebooks/src/ja/NN_name.md` holds one entry for each paragraph of `notebooks/src/NN_name.py`:

    <!-- en 1a2b3c4d5e -->
    the paragraph in Japanese

The ten digits are the start of the SHA-256 of the English paragraph. Where the English changes, its
hash does too, so its old translation is stale: it is reported and never shown, and the paragraph
stands in English until it is translated again. `common.md` holds what several lessons say; a
lesson's own entry wins. A notebook is made of the English source: its code cells as they are, its
text by paragraph, and one cell more, which chooses the language.
"""

import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import jupytext
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from tools.buttons import buttons, repository_slug
from tools.lessons import FORMAT, JAPANESE, METADATA, ROOT, chosen, parse_source, sources
from tools.translation_rules import RULES

COMMON = "common"
LANGUAGE_CELL = 'lesson.language("ja")'
_ENTRY = re.compile(r"^<!-- en ([0-9a-f]{10}) -->$", re.MULTILINE)
_FENCE = re.compile(r"^(```|~~~)")


def paragraph_hash(paragraph: str) -> str:
    """Return what names an English paragraph in a file of translations.

    >>> paragraph_hash("## Setup")
    '0ecddf15e1'
    """
    return hashlib.sha256(paragraph.strip().encode()).hexdigest()[:10]


def paragraphs(markdown: str) -> list[str]:
    r"""Return the paragraphs of a markdown cell; a fenced block of code is never split.

    >>> paragraphs("one\nstill one\n\n\n```\na\n\nb\n```")
    ['one\nstill one', '```\na\n\nb\n```']
    """
    found: list[list[str]] = [[]]
    in_fence = False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            in_fence = not in_fence
        if line.strip() or in_fence:
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return ["\n".join(lines).strip() for lines in found if lines]


def is_translated(cell: NotebookNode) -> bool:
    """Return whether a cell has text to translate; buttons are written by a command."""
    return cell.cell_type == "markdown" and "buttons" not in cell.metadata.get("tags", [])


def lesson_paragraphs(source: str) -> dict[str, str]:
    """Return the English paragraphs of a lesson's source by hash, in reading order."""
    cells = filter(is_translated, parse_source(source).cells)
    return {paragraph_hash(text): text for cell in cells for text in paragraphs(cell.source)}


def entries(text: str) -> dict[str, str]:
    """Return the translations that a file holds, by the hash of the English.

    Raises:
        ValueError: Two entries are for the same paragraph, or one is empty.
    """
    _, *parts = _ENTRY.split(text)
    found: dict[str, str] = {}
    for key, translation in zip(parts[::2], parts[1::2], strict=True):
        if key in found or not translation.strip():
            what = "two entries" if key in found else "an empty entry"
            raise ValueError(f"got {what} for paragraph {key}, need one that says something")
        found[key] = translation.strip()
    return found


def translation_file(name: str, root: Path = ROOT) -> Path:
    """Return where the translations of the lesson `name` stand."""
    return root / "notebooks" / "src" / JAPANESE / f"{name}.md"


def stored(name: str, root: Path = ROOT) -> dict[str, str]:
    """Return the entries of one file; none where it is not written yet.

    Raises:
        ValueError: The file holds an entry twice or an empty one.
    """
    path = translation_file(name, root)
    try:
        return entries(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def translations(name: str, root: Path = ROOT) -> dict[str, str]:
    """Return all translations that hold for a lesson; its own win over the common ones."""
    return stored(COMMON, root) | stored(name, root)


def missing(source: Path, root: Path = ROOT) -> dict[str, str]:
    """Return a lesson's English paragraphs that have no translation, by hash."""
    have = translations(source.stem, root)
    english = lesson_paragraphs(source.read_text(encoding="utf-8"))
    return {key: text for key, text in english.items() if key not in have}


def stale(root: Path = ROOT) -> dict[str, list[str]]:
    """Return, by file, the hashes whose English paragraph is gone or was changed."""
    english = {p.stem: lesson_paragraphs(p.read_text(encoding="utf-8")) for p in sources(root)}
    english[COMMON] = {key: text for texts in english.values() for key, text in texts.items()}
    found = {}
    for path in sorted((root / "notebooks" / "src" / JAPANESE).glob("*.md")):
        old = [key for key in stored(path.stem, root) if key not in english.get(path.stem, {})]
        if old:
            found[path.stem] = old
    return found


def translated(markdown: str, have: dict[str, str]) -> str:
    """Return a markdown cell's text in the other language; in English where it is not translated.

    Args:
        markdown: The English text.
        have: Translations by hash.
    """
    return "\n\n".join(have.get(paragraph_hash(text), text) for text in paragraphs(markdown))


def as_entries(paragraphs: dict[str, str]) -> str:
    """Return paragraphs in the form of a file of translations."""
    return "\n\n".join(f"<!-- en {key} -->\n{text}" for key, text in paragraphs.items())


def edition(source: Path, root: Path = ROOT) -> str:
    """Return a lesson's Japanese source in the form of the English one."""
    have = translations(source.stem, root)
    cells = []
    for cell in parse_source(source.read_text(encoding="utf-8")).cells:
        tags = cell.metadata.get("tags", [])
        if "buttons" in tags:
            name = f"{JAPANESE}/{source.stem}"
            cell.source = "\n".join(buttons(repository_slug(root), name))
        elif cell.cell_type == "markdown":
            cell.source = translated(cell.source, have)
        cells.append(cell)
        if "setup" in tags:
            cells.append(new_code_cell(LANGUAGE_CELL, metadata={"tags": ["language"]}))
    return jupytext.writes(new_notebook(cells=cells, metadata=METADATA), fmt=FORMAT)


def pending(root: Path = ROOT) -> list[str]:
    """Return one sentence for each paragraph whose translation is missing or stale."""
    lacking = {source.stem: missing(source, root) for source in sources(root)}
    found = [
        f"{name}: {key} is missing: {text.splitlines()[0][:60]!r}"
        for name, texts in lacking.items()
        for key, text in texts.items()
    ]
    for name, keys in stale(root).items():
        found += [f"{name}: {key} is stale: its English has changed or is gone" for key in keys]
    return found


def complaints(root: Path = ROOT) -> list[str]:
    """Return one sentence for each translated paragraph that breaks a rule."""
    found = []
    for source in sources(root):
        have = translations(source.stem, root)
        english = lesson_paragraphs(source.read_text(encoding="utf-8"))
        for key in english.keys() & have.keys():
            wrong = (sentence for rule in RULES for sentence in rule(english[key], have[key]))
            found += [f"{source.stem}: {key} {sentence}" for sentence in wrong]
    return found


def main(arguments: Sequence[str]) -> int:
    """Print what is to be translated, or what is wrong, and return the exit code."""
    if arguments[:1] == ["todo"]:
        wanted = [missing(source) for source in chosen(arguments[1:])]
        print(*map(as_entries, filter(None, wanted)), sep="\n\n")
        return 0
    waiting, found = pending(), complaints()
    print(*waiting, f"{len(waiting)} paragraphs are missing or stale", sep="\n")
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
