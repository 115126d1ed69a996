"""Exercise checkers of the lessons about cost and measuring; `checks` hands them on."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.lessons.checks_decoding import NOT_TRIED, RIGHT, agrees
from gemma_mtp_edu.lessons.language import marked, sentences, tr

# Gemma 4 12B with 3 drafts per round: drafts kept per round, and the speedup on two machines.
# Source: lablup/mlxcel, pull request 744.
_KEPT = 1.05
_SPEEDUPS = {"first": 1.72, "second": 0.52}

MISTAKES = {
    "warm-up": marked("the first run of the program is counted"),
    "one run": marked("there is a single run of each"),
    "different texts": marked("the two do not write the same text"),
    "not in turns": marked("all runs of one come before all runs of the other"),
    "fine": marked("nothing is wrong"),
}
# The reports of lesson 10: what is wrong with each, and what to ask who says something else.
_REPORTS = {
    "A": ("different texts", marked("What does each of the two write?")),
    "B": (
        "not in turns",
        marked("Read the numbers in the order of the runs: what is the machine doing?"),
    ),
    "C": ("fine", marked("Which of the mistakes do you see in it: can you point at it?")),
    "D": ("warm-up", marked("Leave the first number of each out: what is the speedup then?")),
    "E": ("one run", marked("If you ran it again, would the same number come out?")),
}


def tokens_per_round(function: Callable[[float, int], float | None]) -> None:
    """Lesson 07: expected tokens of a round from alpha and gamma."""
    for case in ((0.8, 4), (0.5, 2), (0.0, 3), (0.9, 0), (1.0, 4)):
        if not _agrees(function, case, expected_tokens(*case), _tokens_question):
            return
    print(tr(RIGHT))


def round_costs(first: float | None, second: float | None) -> None:
    """Lesson 07: what a round costs in plain passes on the two machines of a published table."""
    if first is None or second is None:
        print(tr(NOT_TRIED))
        return
    for name, answer in (("first", first), ("second", second)):
        if not math.isclose(answer, (1 + _KEPT) / _SPEEDUPS[name], rel_tol=0.02):
            got = tr(
                "Not {answer:g} on the first machine."
                if name == "first"
                else "Not {answer:g} on the second machine.",
                answer=answer,
            )
            print(sentences(got, _cost_question(answer, name)))
            return
    why = tr(
        "About 1.2 and 3.9 plain passes. The source says why: on the second machine a pass over 4 "
        "tokens ran as 4 passes over one."
    )
    print(sentences(tr(RIGHT), why))


def smallest_alpha(function: Callable[[int, float], float | None]) -> None:
    """Lesson 07: the least alpha, to a hundredth, that pays for a round of this cost."""
    for gamma, cost in ((4, 1.6), (1, 1.4), (3, 3.94), (4, 1.0), (8, 3.0)):
        answer = function(gamma, cost)
        if answer is None:
            print(tr(NOT_TRIED))
            return
        expected = _least_alpha(gamma, cost)
        if not math.isclose(answer, expected, abs_tol=0.0101):
            question = _alpha_question(answer, expected)
            got = tr(
                "For ({arguments}) you got {answer:g}.",
                arguments=f"{gamma}, {cost:g}",
                answer=answer,
            )
            print(sentences(got, question))
            return
    print(tr(RIGHT))


def fair_speedup(
    function: Callable[[Sequence[float], Sequence[float]], float | None],
) -> None:
    """Lesson 10: the speedup from two lists of seconds, of which each first one is a warm-up."""
    for plain, assisted in (
        ([3.4, 2.0, 2.1, 2.0, 9.0], [1.9, 1.0, 1.1, 1.0, 1.0]),
        ([1.0, 1.0, 1.0, 1.0], [1.3, 1.25, 1.25, 1.2]),
    ):
        answer = function(list(plain), list(assisted))
        if answer is None:
            print(tr(NOT_TRIED))
            return
        expected = statistics.median(plain[1:]) / statistics.median(assisted[1:])
        if not math.isclose(answer, expected, rel_tol=1e-6):
            question = _fair_question(answer, plain, assisted)
            got = tr(
                "For {plain} and {assisted} you got {answer:.3g}.",
                plain=plain,
                assisted=assisted,
                answer=answer,
            )
            print(sentences(got, question))
            return
    print(tr(RIGHT))


def wrong_benchmarks(answers: Mapping[str, str | None]) -> None:
    """Lesson 10: what is wrong with each of five benchmark reports, by a word of `MISTAKES`."""
    given = {name: answers.get(name) for name in _REPORTS}
    if not any(given.values()):
        print(tr(NOT_TRIED))
        return
    for name, answer in given.items():
        wanted, question = _REPORTS[name]
        if answer is not None and answer not in MISTAKES:
            known = ", ".join(map(repr, MISTAKES))
            print(f"{name}: {tr('{answer!r} is not one of {known}.', answer=answer, known=known)}")
            return
        if answer is not None and answer != wanted:
            wrong = tr("{name}: not {answer!r}.", name=name, answer=answer)
            print(sentences(wrong, tr(question)))
            return
    if missing := [name for name, answer in given.items() if answer is None]:
        print(tr("Right so far; still open: {names}.", names=", ".join(missing)))
        return
    found = "; ".join(f"{name}: {tr(MISTAKES[word])}" for name, (word, _) in _REPORTS.items())
    print(sentences(tr(RIGHT), found))


def end_to_end(function: Callable[[float, float, float], float | None]) -> None:
    """Lesson 10: the speedup of a whole answer, prefill included."""
    for case in ((1.0, 9.0, 3.0), (4.0, 4.0, 2.0), (0.0, 5.0, 1.5), (5.0, 5.0, 0.5)):
        prefill, decoding, speedup = case
        expected = (prefill + decoding) / (prefill + decoding / speedup)
        if not _agrees(function, case, expected, _whole_question):
            return
    print(tr(RIGHT))


def _agrees(
    function: Callable[..., float | None],
    case: tuple[float, ...],
    expected: float,
    question: Callable[[float, float, tuple[float, ...]], str],
) -> bool:
    """Try one case as `agrees` does; the question may look at the case, and 0 may be divided by."""
    try:
        return agrees(function, case, expected, partial(_asked, question, case))
    except ZeroDivisionError:
        arguments = ", ".join(f"{value:g}" for value in case)
        print(
            tr(
                "For ({arguments}) it divides by zero. What is the sum there, term by term?",
                arguments=arguments,
            )
        )
        return False


def _asked(
    question: Callable[[float, float, tuple[float, ...]], str],
    case: tuple[float, ...],
    answer: float,
    expected: float,
) -> str:
    return question(answer, expected, case)


def _tokens_question(answer: float, expected: float, case: tuple[float, ...]) -> str:
    alpha, gamma = case
    if math.isclose(answer, expected - 1):
        return tr("These are the drafts that are kept. Which token does every round add?")
    if math.isclose(answer, 1 + alpha * gamma):
        return tr("Does the second draft count where the first one is wrong?")
    return tr("With which chance is the k-th draft kept, and what does a round write in any case?")


def _cost_question(answer: float, name: str) -> str:
    speedup, tokens = _SPEEDUPS[name], 1 + _KEPT
    if math.isclose(answer, _KEPT / speedup, rel_tol=0.02):
        return tr("The kept drafts are not all that a round writes. What else does it write?")
    if math.isclose(answer, speedup / tokens, rel_tol=0.02):
        return tr("That is its inverse: rounds in the time of a plain pass.")
    return tr("How many tokens does a round write, and how many would plain decoding in that time?")


def _least_alpha(gamma: int, cost: float) -> float:
    return break_even_alpha(gamma, 0.0, lambda _: cost) or 0.0


def _alpha_question(answer: float, expected: float) -> str:
    if not 0 <= answer <= 1:
        return tr("Alpha is a share, from 0 to 1.")
    if answer < expected:
        return tr("Does a round write as many tokens there as it costs plain passes?")
    return tr("Is there a smaller one that also pays?")


def _fair_question(answer: float, plain: Sequence[float], assisted: Sequence[float]) -> str:
    def is_ratio(value: float) -> bool:
        return math.isclose(answer, value, rel_tol=1e-6)

    if is_ratio(statistics.median(assisted[1:]) / statistics.median(plain[1:])):
        return tr("That is the time with drafts over the plain one. Which of them is the speedup?")
    if is_ratio(statistics.mean(plain[1:]) / statistics.mean(assisted[1:])):
        return tr(
            "Once something else was running. Which number for the middle does not mind that?"
        )
    if is_ratio(statistics.median(plain) / statistics.median(assisted)):
        return tr("Is every run in the list one that should count?")
    return tr("Which runs count, and what stands for them: one run, the mean, the median?")


def _whole_question(answer: float, expected: float, case: tuple[float, ...]) -> str:
    if math.isclose(answer, case[2]):
        return tr("Does a drafter make the prefill faster?")
    if math.isclose(answer * expected, 1):
        return tr("That is the time with drafts over the plain one. Which of them is the speedup?")
    return tr("Which seconds stay, which ones are divided by the speedup?")
