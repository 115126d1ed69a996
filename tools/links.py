"""Links and headings of the documents and notebooks.

    python -m tools.links            # links to elsewhere, over the network

Links inside of the repository, and the form of those to elsewhere, are tested without a network:
`tests/unit/test_links.py`.
"""

import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.buttons import repository_slug
from tools.lessons import ROOT, notebooks, read_notebook

FOLDERS = ("", "docs", "docs/ja", "gemma_mtp_edu/data/pocket")
SECONDS = 20
# Answers to programs: the page is there, but not for them.
THERE_BUT_CLOSED = {401, 403, 405, 429}


def documents(root: Path = ROOT) -> list[Path]:
    """Return every document and notebook that readers open."""
    texts = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.md"))]
    return texts + notebooks(root)


def markdown(path: Path) -> str:
    """Return a document's text, or the prose of a notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = read_notebook(path).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def prose(text: str) -> str:
    """Return a text without its code.

    >>> prose("see `a[0](1)` and [b](c)")
    'see  and [b](c)'
    """
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def targets(text: str) -> list[str]:
    """Return where links and pictures lead.

    >>> targets("[a](b.md#c) <img src='x.png'> <https://d.org> https://e.org/f.")
    ['b.md#c', 'x.png', 'https://d.org', 'https://e.org/f']
    """
    text = prose(text)
    inline = re.findall(r"\]\(([^)\s]+)\)", text)
    html = re.findall(r"""(?:src|href)=["']([^"']+)["']""", text)
    bare = re.findall(r"""(?<![("'])https?://[^\s<>)"'\]]+""", text)
    return [*inline, *html, *(address.rstrip(".,;:") for address in bare)]


def headings(text: str) -> list[tuple[int, str]]:
    r"""Return level and text of every heading.

    >>> headings("# A `b`\n\n## C")
    [(1, 'A `b`'), (2, 'C')]
    """
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [(len(m[1]), m[2].strip()) for m in re.finditer(r"^(#+) (.*)$", text, re.MULTILINE)]


def misordered(found: Sequence[tuple[int, str]]) -> Iterator[str]:
    """Yield what is wrong: one title is needed, first, and no level is skipped on the way down.

    Args:
        found: Level and text of every heading, as `headings` returns them.
    """
    levels = [level for level, _ in found]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield f"needs one title, first; heading levels are {levels}"
    for before, (level, words) in zip(levels, found[1:], strict=False):
        if level > before + 1:
            yield f"heading {words!r} goes from level {before} to {level}"


def anchors(text: str) -> set[str]:
    r"""Return the anchors that GitHub gives the headings.

    >>> sorted(anchors("# What's `new`\n\n## What's new"))
    ['whats-new', 'whats-new-1']
    """
    found: set[str] = set()
    for _, words in headings(text):
        base = re.sub(r"[^\w\- ]", "", words.lower()).strip().replace(" ", "-")
        number = next(i for i in range(len(text)) if _numbered(base, i) not in found)
        found.add(_numbered(base, number))
    return found


def _numbered(base: str, number: int) -> str:
    return f"{base}-{number}" if number else base


def broken(path: Path, root: Path = ROOT) -> Iterator[str]:
    """Yield each link of a document that leads nowhere, as far as this can be known here."""
    for target in targets(markdown(path)):
        if re.match(r"\w+:", target):
            yield from _misformed(target, root)
            continue
        name, _, anchor = unquote(target).partition("#")
        aim = path.parent / name if name else path
        if not aim.exists():
            yield f"{target}: there is no such file"
        elif anchor and anchor not in anchors(markdown(aim)):
            yield f"{target}: there is no such heading"


def _misformed(address: str, root: Path) -> Iterator[str]:
    parts = urlsplit(address)
    if parts.scheme != "https" or "." not in parts.netloc or unquote(address) != address.strip():
        # A notebook's place in Binder's address is quoted, and no other part is.
        if parts.netloc != "mybinder.org":
            yield f"{address}: is no plain https address"
    own = re.search(rf"{repository_slug(root)}/(?:blob/|tree/)?main[/?](.*)", address)
    name = own and unquote(own[1]).removeprefix("labpath=")
    if name and not (root / name.split("#")[0]).exists():
        yield f"{address}: there is no {name} in this repository"


def elsewhere(root: Path = ROOT) -> dict[str, list[str]]:
    """Return all addresses outside of this repository, with the documents that name them."""
    found: dict[str, list[str]] = {}
    for path in documents(root):
        for target in dict.fromkeys(targets(markdown(path))):
            if target.startswith("http") and repository_slug(root) not in target:
                found.setdefault(target, []).append(path.relative_to(root).as_posix())
    return found


def failure(address: str) -> str | None:
    """Ask for an address, and return what went wrong, or None."""
    request = urllib.request.Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"})
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()
    except urllib.error.HTTPError as error:
        return None if error.code in THERE_BUT_CLOSED else f"{error.code} {error.reason}"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def main() -> int:
    """Ask for every address elsewhere, print those that fail, and return the exit code."""
    named = elsewhere()
    with ThreadPoolExecutor(8) as pool:
        failures = dict(zip(named, pool.map(failure, named), strict=True))
    for address, why in failures.items():
        if why:
            print(f"{address}: {why} (in {', '.join(named[address])})", file=sys.stderr)
    failed = sum(map(bool, failures.values()))
    print(f"{len(named) - failed} of {len(named)} addresses answer")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
