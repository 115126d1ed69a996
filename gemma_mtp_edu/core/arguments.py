"""Numbers that callers give: Python's own or numpy's, and errors that say what is needed.

A bool is no number here: `gamma=True` is a slip, not one draft.
"""

from numbers import Integral, Real
from typing import Any

from gemma_mtp_edu.lessons.language import marked, tr

# What a whole number counts, as callers of `whole` say it.
COUNTED = (
    marked(" of drafts"),
    marked(" of tokens"),
    marked(" of tokens (None for off)"),
    marked(" of prompts"),
    marked(" of clusters"),
    marked(" (0 for a dense head)"),
)


def whole(value: Any, name: str, least: int = 1, what: str = "") -> int:
    """Return a whole number as Python's own.

    Args:
        value: What the caller gave.
        name: What it is called there.
        least: The smallest that is allowed.
        what: What it counts, one of `COUNTED`.

    Raises:
        ValueError: It is not a whole number of at least `least`, or beyond all floats.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(
            tr(
                "got {name} {value!r}, need a whole number{what}, at least {least}",
                name=name,
                value=value,
                what=tr(what),
                least=least,
            )
        )
    real(value, name, tr("a smaller one"))
    return int(value)


def real(value: Any, name: str, needed: str) -> float:
    """Return a number as Python's float; infinity and NaN pass, for the caller to judge.

    Args:
        value: What the caller gave.
        name: What it is called there.
        needed: What is needed instead, as the message says it, in the current language.

    Raises:
        ValueError: It is not a number, or too large for one.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(got(value, name, needed))
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(
            tr("got a {name} beyond all floats, need {needed}", name=name, needed=needed)
        ) from error


def mass(value: Any, name: str, needed: str) -> float:
    """Return a number from 0 to 1.

    Raises:
        ValueError: It is none.
    """
    number = real(value, name, needed)
    if not 0.0 <= number <= 1.0:
        raise ValueError(got(value, name, needed))
    return number


def got(value: Any, name: str, needed: str) -> str:
    """Return what was given and what is needed, in a sentence."""
    return tr("got {name} {value!r}, need {needed}", name=name, value=value, needed=needed)


def check_kind(value: Any, kinds: type | tuple[type, ...], name: str, needed: str) -> None:
    """Raise unless a value is of a kind.

    Raises:
        ValueError: It is of another; the message says what is needed.
    """
    if not isinstance(value, kinds):
        raise ValueError(
            tr(
                "got a {kind} as {name}, need {needed}",
                kind=type(value).__name__,
                name=name,
                needed=needed,
            )
        )


def listed(values: Any, name: str) -> tuple[Any, ...]:
    """Return several values as a tuple.

    Raises:
        ValueError: It is one value, or a text.
    """
    needed = tr("several numbers, such as (1, 2, 5)")
    if isinstance(values, str):
        raise ValueError(got(values, name, needed))
    try:
        return tuple(values)
    except TypeError as error:
        raise ValueError(got(values, name, needed)) from error
