"""What Windows needs and can be read from the files: commands, encodings, calls, names."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.cases import cases, tables
from tests.unit.test_readme import blocks

ROOT = Path(__file__).resolve().parents[2]
LISTED = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
FILES = LISTED.stdout.decode().strip("\0").split("\0")
# Of the tests those that README has a learner run.
CODE = re.compile(r"(gemma_mtp_edu|tools|notebooks/src)/.*py|tests/((unit|model)/)?\w+\.py")
LACKING = re.compile(tables(__file__)["only POSIX has it"])
ASKED = r"sys\.platform|os\.name|hasattr\(os, "
# Where `open` and its like take an encoding: as a function, as a method.
ENCODING_AT = {"open": (3, 2), "fdopen": (3, 3), "read_text": (0, 0), "write_text": (1, 1)}
FORBIDDEN = re.compile(r'[<>:"\\|?*\x00-\x1f]|[ .]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.I)
SHELL = re.compile(r"[$&|;<>`'~#]|\bbin/|^\w+=|^(source|export) |\\$", re.M)


def guarded(node: ast.AST) -> bool:
    """Return whether a part of the code asks for the system, or tries what it has."""
    text = ast.unparse(node.test if isinstance(node, ast.If) else node)
    if isinstance(node, ast.FunctionDef):  # an `if` leaves it, or a mark leaves the test out
        return bool(re.search(rf"^( *if |@).*({ASKED})|^@posix$", text, re.M))
    if isinstance(node, ast.Try):
        return "except ImportError" in text
    whole = isinstance(node, ast.If) or not hasattr(node, "body")
    return whole and bool(re.search(ASKED, text))


def unguarded(code: str) -> list[str]:
    """Return what only POSIX has and is used where nothing asks for the system."""
    found, waiting = list[str](), [*ast.iter_child_nodes(ast.parse(code))]
    while waiting:
        node = waiting.pop()
        if not guarded(node) and hasattr(node, "body"):
            waiting += ast.iter_child_nodes(node)
        elif not guarded(node):
            found += (match[0] for match in LACKING.finditer(ast.unparse(node)))
    return found


def without_encoding(code: str) -> list[str]:
    """Return the calls that read or write a text in the encoding of the machine."""
    found = []
    for node in (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)):
        name = re.split(r"\W", ast.unparse(node.func))[-1]
        at = ENCODING_AT.get(name, (-1, -1))[isinstance(node.func, ast.Attribute)]
        given = r"encoding=|'[rwxa+]*b[rwxa+]*'|^(os|Image|wheel)\.open\("
        if len(node.args) <= at and not re.search(given, ast.unparse(node)):
            found.append(ast.unparse(node))
    return found


@pytest.mark.parametrize("name", [name for name in FILES if CODE.fullmatch(name)])
def test_code_runs_on_windows(name: str) -> None:
    code = (ROOT / name).read_text(encoding="utf-8")
    assert unguarded(code) == []
    assert name.startswith("tests") or without_encoding(code) == []


@cases
def test_what_windows_lacks_is_found(code: str, found: list[str]) -> None:
    assert unguarded(code) == found


@cases
def test_texts_without_an_encoding_are_found(code: str, count: int) -> None:
    assert len(without_encoding(code)) == count


def test_file_names_are_those_of_every_system() -> None:
    assert [name for name in FILES for part in name.split("/") if FORBIDDEN.search(part)] == []
    assert all(map(FORBIDDEN.search, ("a:b", "what?", "end.", "aux.py", "NUL", "a\\b")))
    assert len({name.casefold() for name in FILES}) == len(FILES) > 400
    assert max(map(len, FILES)) < 120, "with the folder of the clone, 260 are allowed"


@pytest.mark.parametrize("name", ["README.md", "README.ja.md"])
def test_windows_is_told_the_same_commands(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    here, there = blocks(text, "console")
    assert there == here.replace(".venv/bin/", ".venv\\Scripts\\")
    assert not SHELL.search(there) and SHELL.search(here)
    assert "bin/" not in text.split(there)[1], "what follows is for every system"
