"""Exercise checkers: right answers pass, wrong ones get a question, unanswered ones do not stop."""

from typing import Any

import numpy as np
import pytest
import torch

from gemma_mtp_edu.analysis.theory import break_even_alpha
from gemma_mtp_edu.lessons import checks
from gemma_mtp_edu.lessons.checking import NOT_TRIED, RIGHT, numbers
from gemma_mtp_edu.lessons.checks_measuring import MISTAKES
from tests.cases import beside, tables
from tests.unit.test_replay import make_profile
from tests.unit.test_tradeoff import HARD


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that asks a checker and returns its reply."""

    def ask(check: Any, *given: Any) -> str:
        assert check(*given) is None
        return capsys.readouterr().out.strip()

    return ask


# Functions of the answers, which are expressions in the JSON: the right one of each checker, and
# wrong ones with words of the question that they get.
LEARNER: dict[str, Any] = {}
exec(beside(__file__, ".py.txt"), LEARNER)
FUNCTIONS: dict[Any, list[tuple[Any, str]]] = {
    getattr(checks, name): [(eval(answer, LEARNER), words) for answer, words in rows]
    for name, rows in tables(__file__)["functions"].items()
}


@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_functions(check: Any, said: Any) -> None:
    (right, praise), *wrong = FUNCTIONS[check]
    assert said(check, right) == praise
    assert said(check, lambda *_: None) == NOT_TRIED
    for function, question in wrong:
        reply = said(check, function)
        assert question in reply
        assert reply.endswith("?") or question == "Add the seconds" or "from 0 to 1" in reply


FORMS: dict[str, Any] = {
    "tensor": torch.tensor, "array": np.array, "row": lambda value: torch.tensor([numbers(value)]),
    "list": numbers, "tuple": lambda value: tuple(numbers(value)),
    "of tensors": lambda value: [torch.tensor(number) for number in numbers(value)],
    "float32": lambda value: torch.tensor(value, dtype=torch.float32),
    "float64": lambda value: np.array(value, dtype=np.float64),
    "float16": lambda value: np.array(value, dtype=np.float16),
    "bfloat16": lambda value: torch.tensor(value, dtype=torch.bfloat16),
    "once bfloat16": lambda value: torch.tensor(numbers(value)).bfloat16().tolist(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_an_answer_counts_in_any_form(check: Any, form: str, said: Any) -> None:
    assert said(check, in_form(FUNCTIONS[check][0][0], form)).startswith(RIGHT)


@pytest.mark.parametrize("value", [[], [float("nan")], [-float("inf")], [10**400], 1j, "2"])
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_what_is_no_answer_gets_a_question(check: Any, value: Any, said: Any) -> None:
    right = FUNCTIONS[check][0][0]
    reply = said(check, lambda *case: value * len(numbers(right(*case))))
    assert reply.endswith("?") or "from 0 to 1" in reply


def in_form(function: Any, form: str) -> Any:
    """Return a function whose answers have another form."""

    def other(*case: Any) -> Any:
        answer = function(*case)
        return FORMS[form](answer if isinstance(answer, int | float) else numbers(answer))

    return other


@pytest.mark.parametrize("form", ["float16", "bfloat16", "once bfloat16"])
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_of_16_bits_only_what_they_lack_is_forgiven(check: Any, form: str, said: Any) -> None:
    for wrong, _ in FUNCTIONS[check][1:]:
        assert not said(check, in_form(wrong, form)).startswith(RIGHT)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("check", [checks.attend, checks.emitted, checks.acceptance_loss])
def test_an_answer_computed_in_16_bits_counts(check: Any, dtype: torch.dtype, said: Any) -> None:
    right = FUNCTIONS[check][0][0]
    assert said(check, lambda *case: right(*(part.to(dtype) for part in case))) == RIGHT


@pytest.mark.parametrize("answer", ["seven", {}, object(), [["a"]], [1.0] * 9, torch.zeros(3, 3)])
@pytest.mark.parametrize("check", FUNCTIONS, ids=lambda check: check.__name__)
def test_an_answer_of_another_kind_gets_a_question(check: Any, answer: Any, said: Any) -> None:
    reply = said(check, lambda *case: answer)
    assert reply.endswith("?") and not reply.startswith(RIGHT)


def test_a_function_that_changes_its_arguments_is_tried_on_whole_ones(said: Any) -> None:
    def emptying(kept: list[int], costs: Any) -> int:
        best = LEARNER["cheapest_constant"](kept, costs)
        kept.clear()
        return best

    assert said(checks.best_constant, emptying) == said(checks.best_constant, emptying) == RIGHT


def test_an_alpha_of_either_side_of_a_hundredth_passes(said: Any) -> None:
    assert said(checks.smallest_alpha, break_even_alpha) == RIGHT


# Chains of three right drafts: a fourth would be paid for nothing.
THREES = make_profile(tuple(range(17)), tuple((*range(i, i + 3), 99) for i in range(1, 17)))
# All drafts of HARD are wrong and half sure: the sooner drafting stops, the better.
LEARNER |= {"THREES": THREES, "HARD": HARD}
ANSWERS = tables(__file__)["answers"]


@pytest.mark.parametrize(
    ("name", "arguments", "replies"), ANSWERS, ids=[name for name, *_ in ANSWERS]
)
def test_answers(name: str, arguments: str, replies: list[list[str]], said: Any) -> None:
    check, given = getattr(checks, name), eval(arguments, LEARNER)
    for text, reply in replies:
        answer = eval(text, LEARNER)
        for form in FORMS.values() if isinstance(answer, int | float) else ():
            assert reply in said(check, form(answer), *given)
        assert reply in said(check, answer, *given)
    for several in ([1, 2], torch.arange(3), np.zeros((2, 2))):
        assert said(check, several, *given).endswith("?")


BENCHMARKS = {
    "A": "different texts", "B": "not in turns", "C": "fine", "D": "warm-up", "E": "one run",
}  # fmt: skip


def test_benchmark_reports(said: Any) -> None:
    assert set(BENCHMARKS.values()) == set(MISTAKES)
    told = said(checks.wrong_benchmarks, BENCHMARKS)
    assert told.startswith(f"{RIGHT} A: the two do not write the same text; B: all runs")
    for answers, reply in (
        (dict.fromkeys("ABCDE"), NOT_TRIED),
        ({}, NOT_TRIED),
        ({**BENCHMARKS, "B": None, "E": None}, "still open: B, E."),
        ({"A": "noise"}, "A: 'noise' is not one of 'warm-up', 'one run'"),
    ):
        assert reply in said(checks.wrong_benchmarks, answers)
    questions = set()
    for name, right in BENCHMARKS.items():
        for word in set(MISTAKES) - {right}:
            reply = said(checks.wrong_benchmarks, {**BENCHMARKS, name: word})
            assert reply.startswith(f"{name}: not {word!r}. ")
            questions.add(reply.split(". ", 1)[1])
    assert len(questions) == 5, "each report has a question of its own"
