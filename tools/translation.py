"""Translated paragraphs: how they are stored, and which are missing or stale.

`notebooks/src/ja/NN_name.md` holds one entry for each paragraph of `notebooks/src/NN_name.py`:

    <!-- en 1a2b3c4d5e -->
    the paragraph in Japanese

The ten digits are the start of the SHA-256 of the English paragraph. Where the English changes, its
hash does too, so its old translation is stale and reported, never shown beside a text that it no
longer says. `common.md` holds what several lessons say; a lesson's own entry wins.
"""

import hashlib
import re
from pathlib import Path

from nbformat import NotebookNode

from tools.lessons import JAPANESE, ROOT, parse_source, sources

COMMON = "common"
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
    """Return a markdown cell's text in the other language.

    Args:
        markdown: The English text.
        have: Translations by hash.

    Raises:
        KeyError: A paragraph has no translation.
    """
    return "\n\n".join(have[paragraph_hash(text)] for text in paragraphs(markdown))
