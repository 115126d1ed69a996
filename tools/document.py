"""Parts of a document that a command writes, between `<!-- NAME -->` and `<!-- /NAME -->`."""

import re
from pathlib import Path


def part(text: str, name: str) -> str:
    r"""Return what stands between the marks of `name`.

    >>> part("a\n<!-- size -->\n3 MB\n<!-- /size -->\n", "size")
    '3 MB'

    Raises:
        ValueError: The marks are missing, or stand there twice.
    """
    return _match(text, name)[2].strip("\n")


def with_part(text: str, name: str, content: str) -> str:
    """Return the document with other content between the marks of `name`.

    Raises:
        ValueError: The marks are missing, or stand there twice.
    """
    match = _match(text, name)
    return f"{text[: match.start()]}{match[1]}\n{content}\n{match[3]}{text[match.end() :]}"


def write_parts(path: Path, parts: dict[str, str]) -> bool:
    """Write parts into a document, and return whether that changed it."""
    old = new = path.read_text(encoding="utf-8")
    for name, content in parts.items():
        new = with_part(new, name, content)
    path.write_text(new, encoding="utf-8", newline="\n")
    return new != old


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown.

    >>> print(table(["pair", "size"], [["pocket", "23 MB"]]))
    | pair | size |
    | --- | --- |
    | pocket | 23 MB |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _match(text: str, name: str) -> re.Match[str]:
    pattern = rf"(<!-- {re.escape(name)} -->)(.*?)(<!-- /{re.escape(name)} -->)"
    found = list(re.finditer(pattern, text, re.DOTALL))
    if len(found) != 1:
        raise ValueError(
            f"got {len(found)} parts named {name!r}, need one: <!-- {name} --> ... <!-- /{name} -->"
        )
    return found[0]
