"""Times measured at a few lengths and contexts: checks, and straight lines between them."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

from gemma_mtp_edu.lessons.language import tr


def between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """Return the value at `x` on the straight lines through points; beyond them the nearest one's.

    >>> between((1, 5), (10.0, 18.0), 2), between((1, 5), (10.0, 18.0), 9)
    (12.0, 18.0)
    """
    right = bisect_right(xs, x)
    if right == 0:
        return ys[0]
    if right == len(xs):
        return ys[-1]
    share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return ys[right - 1] + share * (ys[right] - ys[right - 1])


def check_grid(lengths: Sequence[Any], contexts: Sequence[Any]) -> None:
    """Raise unless passes of these lengths, after these contexts, can be measured.

    Raises:
        ValueError: It names what was got and what is needed.
    """
    if not _ascending(lengths) or lengths[0] != 1 or len(lengths) < 2:
        raise ValueError(
            tr(
                "got lengths {lengths}, need tokens per verify pass in ascending order: 1 "
                "first (a round without drafts), then at least one more, such as (1, 2, 5, "
                "9, 17)",
                lengths=tuple(lengths),
            )
        )
    if not _ascending(contexts) or contexts[0] < 2:
        raise ValueError(
            tr(
                "got contexts {contexts}, need tokens before the round in ascending order, 2 "
                "or more, such as (64, 512)",
                contexts=tuple(contexts),
            )
        )


def check_times(seconds: Sequence[float], size: int, name: str, *, positive: bool = True) -> None:
    """Raise unless there are `size` times.

    Raises:
        ValueError: There are more or fewer, or one is negative, infinite, or zero where `positive`.
    """
    if len(seconds) != size:
        raise ValueError(
            tr("got {count} times in {name}, need {size}", count=len(seconds), name=name, size=size)
        )
    for value in seconds:
        if isinstance(value, bool) or not 0.0 <= value < float("inf") or (positive and value == 0):
            raise ValueError(
                tr(
                    "got {value!r} in {name}, need seconds, a positive number",
                    value=value,
                    name=name,
                )
            )


def check_table(rows: Sequence[Sequence[float]], size: int, columns: int, name: str) -> None:
    """Raise unless there are `size` rows of `columns` positive times.

    Raises:
        ValueError: It names what was got and what is needed.
    """
    if len(rows) != size:
        raise ValueError(
            tr("got {count} rows of {name}, need {size}", count=len(rows), name=name, size=size)
        )
    for row in rows:
        check_times(row, columns, name)


def _ascending(numbers: Sequence[Any]) -> bool:
    whole = all(isinstance(n, Integral) and not isinstance(n, bool) for n in numbers)
    return bool(numbers) and whole and all(a < b for a, b in pairwise(numbers))
