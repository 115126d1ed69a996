"""What makes an exercise's checker of rows (holds, text, values of fields that are no variables).

The first row that holds is told. Of an `answered` checker the first row is what a right answer
hears; all others are questions. Where no row holds or the answer is None, it was not tried yet.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from functools import update_wrapper
from inspect import getgeneratorlocals
from itertools import zip_longest
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.lessons.language import marked, sentences, tr

Rows = Iterator[tuple[Any, ...]]
Call = Callable[..., Any]
NOT_TRIED = marked("Not answered yet: fill in the cell above, then run it again.")
RIGHT = marked("Right.")
GOT = marked("For ({arguments}) you got {shown}.")
NEED = marked("You gave {shown!r}. Is that as many numbers as are asked for, and nothing else?")
BY_ZERO = marked("For ({arguments}) it divides by zero. What is right there?")


def numbers(answer: Any) -> list[Any]:
    """Return the numbers of an answer in any form; a TypeError where something else is in it."""
    plain = answer.tolist() if hasattr(answer, "tolist") else answer
    if not isinstance(plain, int | float | list | tuple):
        raise TypeError
    return [plain] if isinstance(plain, int | float) else [n for p in plain for n in numbers(p)]


def dtype_of(answer: Any) -> torch.dtype:
    """Return a dtype of 16 bits if it holds all fractions of an answer, else float64."""
    found = torch.tensor([n for n in numbers(answer) if isinstance(n, float)], dtype=torch.float64)
    kinds = (torch.bfloat16, torch.float16) if len(found) else ()
    holding = (kind for kind in kinds if torch.equal(found.to(kind).to(found), found))
    return next(holding, torch.float64)


def like(answer: Any, best: Any) -> Any:
    """Return an answer in the form of the right one: a number, a tuple or a tensor."""
    found = numbers(answer)
    if isinstance(best, Tensor):
        return torch.tensor(found, dtype=best.dtype).reshape(best.shape)
    (one,) = (tuple(found),) if isinstance(best, tuple) else found
    return one


def agrees(answer: Any, best: Any, **within: float) -> bool:
    """Return whether an answer's numbers are those of the right one, but for rounding."""
    within, dtype = {"rel_tol": 1e-5, "abs_tol": 1e-8, **within}, dtype_of(answer)
    right = numbers(best)
    if {*map(type, right)} == {int}:  # these are rounded once, when they are stored
        right = torch.tensor(right).to(dtype).tolist()
    else:
        within["abs_tol"] += 2 * torch.finfo(dtype).eps * max(map(abs, right), default=0)
    pairs = zip_longest(numbers(answer), right, fillvalue=math.nan)
    return all(math.isclose(*pair, **within) for pair in pairs)


def _told(asked: Any, before: str, **more: Any) -> str:
    for number, (holds, text, *values) in enumerate(asked):
        if holds:
            known = getgeneratorlocals(asked) | more | dict(*values)
            opening = "" if number and before is RIGHT else before
            return sentences(tr(opening, **known), tr(text, **known))
    return tr(NOT_TRIED)


def answered(rows: Call) -> Call:
    """Make a checker of an answer, which is the first parameter of the rows."""

    def check(answer: Any, *given: Any) -> None:
        with suppress(TypeError, ValueError):  # words, a pair, answers by name
            (answer,) = numbers(answer)
        several = isinstance(answer, list | tuple) or hasattr(answer, "tolist")
        one = rows.__annotations__.get("answer") in (int, float)
        reply = tr(NEED, shown=answer)
        if not (several and one):
            with suppress(Exception):
                reply = tr(NOT_TRIED) if answer is None else _told(rows(answer, *given), RIGHT)
        print(reply)

    return update_wrapper(check, rows)


def tried(cases: Any, right_for: Call, got: str = GOT, praise: str = "", **within: float) -> Call:
    """Make a checker of a learner's function; its rows take a wrong answer, the right one, a case.

    What was `got` stands before the question, `praise` after "Right."; `within` is isclose's.
    """

    def reply(rows: Call, function: Call, *given: Any) -> str:
        for case in cases:
            listed = ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in case)
            try:
                answer = function(*deepcopy(case), *given)
            except ZeroDivisionError:
                return tr(BY_ZERO, arguments=listed)
            if answer is None:
                return tr(NOT_TRIED)
            best = right_for(*case, *given)
            try:
                answer = like(answer, best)
                if not agrees(answer, best, **within):
                    shown = f"{answer:g}" if isinstance(answer, float) else answer
                    asked = rows(answer, best, *case, *given)
                    return _told(asked, got, arguments=listed, shown=shown)
            except Exception:  # whatever an answer that is none makes of the comparison
                return tr(NEED, shown=answer)
        return sentences(tr(RIGHT), tr(praise))

    return lambda rows: update_wrapper(lambda *given: print(reply(rows, *given)), rows)
