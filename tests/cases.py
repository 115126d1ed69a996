"""Tables of cases in the JSON beside a test's file, by the test's name; samples in other files."""

import inspect
import json
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

posix = pytest.mark.skipif(
    os.name == "nt" or not shutil.which("make"), reason="needs make, a shell, signals and links"
)


def beside(test_file: str, ending: str) -> str:
    """Return the text of the file beside a test's that has its name and another ending."""
    return Path(test_file).with_suffix(ending).read_text(encoding="utf-8")


@cache
def tables(test_file: str) -> Any:
    """Return all that stands in the JSON beside a file, read once."""
    return json.loads(beside(test_file, ".json"))


def cases(test: Callable[..., Any]) -> Any:
    """Give a test the cases of its table: the names of its arguments, then a case a line."""
    names, *rows = tables(inspect.getfile(test))[test.__name__]
    return pytest.mark.parametrize(names, rows)(test)
