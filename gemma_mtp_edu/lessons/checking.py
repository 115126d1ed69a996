"""What makes an exercise's checker of rows (holds, text, values of the text's fields).

The first row that holds is told. Of an `answered` checker the first row is what a right answer
hears; all others are questions. Where no row holds or the answer is None, it was not tried yet: an
unfinished notebook runs to its end.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import update_wrapper
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.lessons.language import marked, sentences, tr

Rows = Iterator[tuple[Any, ...]]
NOT_TRIED = marked("Not answered yet: fill in the cell above, then run it again.")
RIGHT = marked("Right.")
GOT = marked("For ({arguments}) you got {shown}.")
BY_ZERO = marked("For ({arguments}) it divides by zero. What is the sum there, term by term?")


def agrees(answer: Any, best: Any, **within: float) -> bool:
    """Return whether an answer, be it a number, a tuple or a tensor, is right but for rounding."""
    if isinstance(best, Tensor):
        return torch.allclose(answer, best)
    if isinstance(best, tuple):
        return tuple(answer) == best
    return math.isclose(answer, best, **{"rel_tol": 1e-6, "abs_tol": 1e-9, **within})


def _told(rows: Callable[..., Rows], given: tuple[Any, ...], before: str = "", **more: Any) -> str:
    known = dict(zip(signature(rows).parameters, given, strict=False)) | more
    for number, (holds, text, *values) in enumerate(rows(*given)):
        if holds:
            opening = "" if number and before is RIGHT else before
            return sentences(tr(opening, **known), tr(text, **known, **dict(*values)))
    return tr(NOT_TRIED)


def answered(rows: Callable[..., Rows]) -> Callable[..., None]:
    """Make a checker of an answer, which is the first parameter of the rows."""

    def check(*given: Any) -> None:
        print(tr(NOT_TRIED) if given[0] is None else _told(rows, given, RIGHT))

    return update_wrapper(check, rows)


def tried(
    cases: Sequence[tuple[Any, ...]],
    right_for: Callable[..., Any],
    got: str = GOT,
    praise: str = "",
    **within: float,
) -> Callable[[Callable[..., Rows]], Callable[..., None]]:
    """Make a checker of a learner's function; its rows take a wrong answer, the right one, a case.

    What was `got` stands before the question, `praise` after "Right."; `within` is isclose's.
    """

    def reply(rows: Callable[..., Rows], function: Callable[..., Any], *given: Any) -> str:
        for case in cases:
            listed = ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in case)
            try:
                answer = function(*deepcopy(case), *given)
            except ZeroDivisionError:
                return tr(BY_ZERO, arguments=listed)
            if answer is None:
                return tr(NOT_TRIED)
            best = right_for(*case, *given)
            if not agrees(answer, best, **within):
                shown = f"{answer:g}" if isinstance(answer, float) else answer
                values = (answer, best, *case, *given)
                return _told(rows, values, got, arguments=listed, shown=shown)
        return sentences(tr(RIGHT), tr(praise))

    return lambda rows: update_wrapper(lambda *given: print(reply(rows, *given)), rows)
