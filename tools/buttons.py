"""Write the repository's address, which stands in pyproject.toml, wherever readers click.

    python -m tools.buttons [--repository https://github.com/me/fork]

In a lesson the whole cells tagged `buttons` and `setup` are written (the first is added where it is
missing). In a document the text between `<!-- buttons NN_name -->` and `<!-- /buttons -->` is
written, and every other mention of the old address is changed.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from nbformat import NotebookNode

from tools import lessons

BRANCH = "main"
DOCUMENTS = ("README.md", "README.ja.md", "CONTRIBUTING.md", "CHANGELOG.md")
SETUP_CELL = Path(__file__).with_name("setup_cell.py.txt")
_GITHUB = "https://github.com/"
_SLUG = r"[\w.-]+/[\w.-]+"
_IN_PROJECT = re.compile(rf'^(Repository = "){_GITHUB}({_SLUG})(")', re.MULTILINE)
_IN_COLAB = re.compile(rf"colab\.research\.google\.com/github/({_SLUG})/blob/[\w.-]+/notebooks/")
_MARKED = re.compile(r"(<!-- buttons ([\w/-]+) -->).*?(<!-- /buttons -->)", re.DOTALL)
_CELL_START = re.compile(r"^(?=# %%)", re.MULTILINE)
_BUTTONS_HEADER = '# %% [markdown] tags=["buttons"]'
_SETUP_HEADER = '# %% tags=["setup"]'


def repository_slug(root: Path = lessons.ROOT) -> str:
    """Return OWNER/NAME of the repository, as pyproject.toml says.

    Raises:
        ValueError: pyproject.toml has no such line, or it names no GitHub repository.
    """
    match = _IN_PROJECT.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    if match is None:
        raise ValueError(f'pyproject.toml needs a line  Repository = "{_GITHUB}OWNER/NAME"')
    return match.group(2)


def set_repository(address: str, root: Path = lessons.ROOT) -> None:
    """Write another address into pyproject.toml.

    Args:
        address: Such as `https://github.com/me/fork`; a final `/` or `.git` is dropped.
        root: The checkout.

    Raises:
        ValueError: The address is not that of a GitHub repository (Colab and Binder need one).
    """
    plain = address.strip().removesuffix("/").removesuffix(".git")
    if not re.fullmatch(_GITHUB + _SLUG, plain):
        raise ValueError(f"got address {address!r}, need {_GITHUB}OWNER/NAME")
    path = root / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(_IN_PROJECT.sub(rf'Repository = "{plain}"', text), encoding="utf-8")


def addresses(slug: str, name: str) -> dict[str, str]:
    """Return where each button of the lesson `name` leads.

    >>> addresses("me/fork", "00_first_run")["Launch on Binder"]
    'https://mybinder.org/v2/gh/me/fork/main?labpath=notebooks%2F00_first_run.ipynb'
    """
    path = f"notebooks/{name}.ipynb"
    colab = f"https://colab.research.google.com/github/{slug}/blob/{BRANCH}/{path}"
    binder = f"https://mybinder.org/v2/gh/{slug}/{BRANCH}?labpath={quote(path, safe='')}"
    github = f"{_GITHUB}{slug}/blob/{BRANCH}/{path}"
    return {"Open in Colab": colab, "Launch on Binder": binder, "View on GitHub": github}


_IMAGES = {
    "Open in Colab": "https://colab.research.google.com/assets/colab-badge.svg",
    "Launch on Binder": "https://mybinder.org/badge_logo.svg",
    "View on GitHub": "https://img.shields.io/badge/View_on-GitHub-181717?logo=github",
}


_IN_JAPANESE = {
    "Open in Colab": "Colab で開く",
    "Launch on Binder": "Binder で起動する",
    "View on GitHub": "GitHub で見る",
}


def buttons(slug: str, name: str) -> list[str]:
    """Return the buttons of the lesson `name` in Markdown; their alt text says what they do."""
    words = _IN_JAPANESE if name.startswith(f"{lessons.JAPANESE}/") else {}
    return [
        f"[![{words.get(label, label)}]({_IMAGES[label]})]({address})"
        for label, address in addresses(slug, name).items()
    ]


def setup_cell(slug: str) -> str:
    """Return the code of the one setup cell."""
    template = SETUP_CELL.read_text(encoding="utf-8").rstrip("\n")
    # Not str.format: the code has braces of its own.
    return template.replace("{repository}", _GITHUB + slug)


def rewrite_source(text: str, slug: str, name: str) -> str:
    """Return a lesson's source with its buttons and its setup cell as they should be."""
    buttons_cell = "\n".join([_BUTTONS_HEADER, *(f"# {line}" for line in buttons(slug, name))])
    cells = [cell for cell in _CELL_START.split(text) if cell.strip()]
    cells = [cell for cell in cells if not cell.startswith(_BUTTONS_HEADER)]
    cells = [_rewrite_setup(cell, slug) for cell in cells]
    return "".join([f"{buttons_cell}\n\n", *cells])


def _rewrite_setup(cell: str, slug: str) -> str:
    if not cell.startswith(_SETUP_HEADER):
        return cell
    gap = cell[len(cell.rstrip("\n")) :]
    return f"{_SETUP_HEADER}\n{setup_cell(slug)}{gap}"


def rewrite_document(text: str, slug: str, old: frozenset[str]) -> str:
    """Return a document with its buttons and addresses as they should be.

    Args:
        text: The document.
        slug: OWNER/NAME that it should name.
        old: Those that it may still name.
    """
    text = _MARKED.sub(lambda m: m[1] + " ".join(buttons(slug, m[2])) + m[3], text)
    for former in old - {slug}:
        text = re.sub(rf"(?<=/){re.escape(former)}(?![\w-])", slug, text)
    return text


def pending(root: Path = lessons.ROOT) -> dict[Path, str]:
    """Return the new text of every source and document that is not yet as it should be."""
    slug = repository_slug(root)
    texts = {path: path.read_text(encoding="utf-8") for path in _documents(root)}
    # A fork that edits pyproject.toml by hand leaves the old address in the documents' buttons.
    old = frozenset(name for text in texts.values() for name in _IN_COLAB.findall(text))
    new = {path: rewrite_document(text, slug, old) for path, text in texts.items()}
    for source in lessons.sources(root):
        texts[source] = source.read_text(encoding="utf-8")
        new[source] = rewrite_source(texts[source], slug, source.stem)
    return {path: text for path, text in new.items() if text != texts[path]}


def stale_notebooks(root: Path = lessons.ROOT) -> dict[Path, NotebookNode]:
    """Return the notebooks whose buttons or setup cell are not as they should be, with them so."""
    slug, found = repository_slug(root), {}
    for path in [*lessons.notebooks(root), *lessons.notebooks(root, lessons.JAPANESE)]:
        name = lessons.lesson_name(path, root)
        wanted = {"buttons": "\n".join(buttons(slug, name)), "setup": setup_cell(slug)}
        notebook = lessons.read_notebook(path)
        for cell in notebook.cells:
            for tag in wanted.keys() & set(cell.metadata.get("tags", [])):
                if cell.source != wanted[tag]:
                    cell.source, found[path] = wanted[tag], notebook
    return found


def write(root: Path = lessons.ROOT) -> list[Path]:
    """Bring everything up to date, without executing it, and return the files that were changed."""
    changed = pending(root)
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    stale = stale_notebooks(root)
    for path, notebook in stale.items():
        lessons.write_notebook(notebook, path)
    return [*changed, *stale]


def _documents(root: Path) -> list[Path]:
    return [root / name for name in DOCUMENTS if (root / name).exists()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite buttons, setup cells and addresses, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.buttons")
    parser.add_argument("--repository", help=f"set it first: {_GITHUB}OWNER/NAME")
    args = parser.parse_args(arguments)
    try:
        if args.repository:
            set_repository(args.repository)
        for path in write():
            print(f"rewrote {path.relative_to(lessons.ROOT)}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
