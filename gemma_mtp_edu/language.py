"""What learners read, in their language: English, or Japanese where it is asked for.

A text stands in English where it is used, as a template: `tr("Not {answer}.", answer=3)`. Its
translation stands in `data/ja.json` by that template; one that is missing leaves the English. What
figures draw is never translated: their fonts have no Japanese.

The language is, in this order: that of `speaking`, that of `use`, the environment variable
GEMMA_MTP_EDU_LANG, English.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "ja")
VARIABLE = "GEMMA_MTP_EDU_LANG"
_DATA = Path(__file__).with_name("data")
_spoken: ContextVar[str | None] = ContextVar("language", default=None)
# Not a context variable: a notebook's next cell may run in another context.
_chosen: list[str] = []


def current() -> str:
    """Return the language that texts are in now, such as "en".

    Raises:
        ValueError: The environment variable names a language that there is not.
    """
    chosen = _spoken.get() or (_chosen[-1] if _chosen else os.environ.get(VARIABLE))
    return _known(chosen or "en")


def use(language: str) -> None:
    """Choose the language of all texts from here on.

    Raises:
        ValueError: There is no such language.
    """
    _chosen[:] = [_known(language)]


@contextmanager
def speaking(language: str | None) -> Iterator[None]:
    """Choose the language of the texts inside a `with`; None leaves it as it is.

    Raises:
        ValueError: There is no such language.

    >>> with speaking("ja"):
    ...     print(tr("Right."))
    正解です。
    """
    token = _spoken.set(_spoken.get() if language is None else _known(language))
    try:
        yield
    finally:
        _spoken.reset(token)


def tr(template: str, /, **values: Any) -> str:
    """Return a text in the current language.

    Args:
        template: The English text, with fields in braces as in `str.format`.
        **values: What the fields stand for.

    >>> tr("{n} drafts", n=4)
    '4 drafts'
    """
    return catalogue(current()).get(template, template).format(**values)


def sentences(*parts: str) -> str:
    """Return sentences in a row, as the current language puts them; empty ones are left out."""
    return ("" if current() == "ja" else " ").join(filter(None, parts))


def marked(template: str, /) -> str:
    """Return a text as it is: `tr` will translate it where it is shown."""
    return template


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return all translations into a language by the English text; none for English itself."""
    if language == "en":
        return {}
    texts: dict[str, str] = json.loads((_DATA / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def _known(language: str) -> str:
    if language not in LANGUAGES:
        raise ValueError(
            f"got language {language!r}, need one of {', '.join(map(repr, LANGUAGES))}: "
            f"see lesson.language and {VARIABLE}"
        )
    return language
