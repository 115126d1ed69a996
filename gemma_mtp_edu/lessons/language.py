"""What learners read, in their language: English, or Japanese where it is asked for.

A text stands in English where it is used, as a template: `tr("Not {answer}.", answer=3)`. Its
translation stands in `data/ja.json` by that template; one that is missing leaves the English. What
figures draw is never translated (their fonts have no Japanese), nor are errors.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

VARIABLE = "GEMMA_MTP_EDU_LANG"
_spoken: ContextVar[str | None] = ContextVar("language", default=None)


def current() -> str:
    """Return the language of `speaking`, else of the variable, else English; it must be known."""
    language = _spoken.get() or os.environ.get(VARIABLE) or "en"
    if language not in ("en", "ja"):
        raise ValueError(f"got language {language!r}, need one of 'en', 'ja': see lesson.language")
    return language


def readable() -> str:
    """Return the current language; English where none can be had, for what must never raise."""
    with suppress(OSError, ValueError):  # an unknown name; translations that are absent or cut off
        return current() if catalogue(current()) else "en"
    return "en"


@contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Choose the language of the texts inside a `with`; None leaves it as it is."""
    token = _spoken.set(language or _spoken.get())
    try:
        current()  # is there such one?
        yield
    finally:
        _spoken.reset(token)


def tr(template: str, /, **values: Any) -> str:
    """Return a text in the current language, its fields in braces filled as by `str.format`."""
    return called(template).format(**values)


def called(name: str) -> str:
    """Return a name in the current language; braces mean nothing, for it may come from outside."""
    return catalogue(current()).get(name, name)


def marked(template: str, /) -> str:
    """Return a text as it is: `tr` will translate it where it is shown."""
    return template


def sentences(*parts: str) -> str:
    """Return sentences in a row, as the current language puts them; empty ones are left out."""
    return ("" if current() == "ja" else " ").join(filter(None, parts))


def html_lang() -> str:
    """Return the attribute of an HTML element whose words are not those of an English page."""
    return "" if current() == "en" else f" lang='{current()}'"


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return all translations into a language by the English text; none for English itself."""
    file = Path(__file__).parents[1] / "data" / f"{language}.json"
    return {} if language == "en" else json.loads(file.read_text(encoding="utf-8"))
