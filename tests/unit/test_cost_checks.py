"""Checkers and figures of the lessons on cost: right and wrong answers, and what alt texts say."""

import statistics
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import pytest

from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.lessons import checks
from gemma_mtp_edu.lessons.checks import NOT_TRIED, RIGHT
from gemma_mtp_edu.lessons.checks_cost import MISTAKES
from gemma_mtp_edu.show import plots
from tests.unit.test_cost import make_cost

COST = make_cost()  # plain 10 s, a draft 1 s, 0.5 s for each further token, the rest 0.25 s


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.strip()


def smallest(gamma: int, cost: float) -> float:
    return next(a / 100 for a in range(101) if expected_tokens(a / 100, gamma) >= cost)


def ratio(plain: list[float], drafted: list[float], middle: Any = statistics.median) -> float:
    return middle(plain) / middle(drafted)


RIGHT_ONES = {
    checks.tokens_per_round: lambda alpha, gamma: sum(alpha**k for k in range(gamma + 1)),
    checks.smallest_alpha: smallest,
    checks.fair_speedup: lambda plain, drafted: ratio(plain[1:], drafted[1:]),
    checks.end_to_end: lambda prefill, decoding, speedup: (
        (prefill + decoding) / (prefill + decoding / speedup)
    ),
}
WRONG_ONES = [
    (checks.tokens_per_round, lambda a, g: sum(a**k for k in range(1, g + 1)), "does every round"),
    (checks.tokens_per_round, lambda a, g: 1 + a * g, "where the first one is wrong"),
    (checks.tokens_per_round, lambda a, g: a**g, "k-th draft"),
    (checks.tokens_per_round, lambda a, g: (1 - a ** (g + 1)) / (1 - a), "divides by zero"),
    (checks.smallest_alpha, lambda g, c: 1.0, "a smaller one"),
    (checks.smallest_alpha, lambda g, c: smallest(g, c) - 0.05, "as many tokens there"),
    (checks.smallest_alpha, lambda g, c: 100 * smallest(g, c), "from 0 to 1"),
    (checks.fair_speedup, lambda p, d: ratio(d[1:], p[1:]), "Which of them is the speedup"),
    (checks.fair_speedup, lambda p, d: ratio(p[1:], d[1:], statistics.mean), "something else"),
    (checks.fair_speedup, ratio, "one that should count"),
    (checks.fair_speedup, lambda p, d: p[0] / d[0], "one run, the mean"),
    (checks.end_to_end, lambda p, d, s: s, "make the prefill faster"),
    (checks.end_to_end, lambda p, d, s: (p + d / s) / (p + d), "Which of them is the speedup"),
    (checks.end_to_end, lambda p, d, s: p + d / s, "Which seconds stay"),
]


@pytest.mark.parametrize("check", RIGHT_ONES)
def test_right_functions_pass_and_missing_ones_do_not_stop(
    check: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    check(RIGHT_ONES[check])
    assert said(capsys) == RIGHT
    check(lambda *_: None)
    assert said(capsys) == NOT_TRIED


@pytest.mark.parametrize(("check", "wrong", "question"), WRONG_ONES)
def test_wrong_functions_get_the_question_that_helps(
    check: Any, wrong: Any, question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(wrong)
    reply = said(capsys)
    assert reply.startswith("For (" if check is not checks.fair_speedup else "For [")
    assert question in reply


def test_an_alpha_of_either_side_of_a_hundredth_passes(capsys: pytest.CaptureFixture[str]) -> None:
    def exact(gamma: int, cost: float) -> float | None:
        return break_even_alpha(gamma, 0.0, lambda _: cost)

    checks.smallest_alpha(exact)
    assert said(capsys) == RIGHT


@pytest.mark.parametrize(
    ("first", "second", "reply"),
    [
        (None, 3.94, NOT_TRIED),
        (1.19, None, NOT_TRIED),
        (2.05 / 1.72, 2.05 / 0.52, RIGHT),
        (1.2, 3.9, RIGHT),
        (1.05 / 1.72, 3.94, "What else does it write"),
        (1.19, 1.05 / 0.52, "second machine. The kept drafts"),
        (1.19, 0.52 / 2.05, "its inverse"),
        (3.94, 1.19, "Not 3.94 on the first machine. How many tokens"),
    ],
)
def test_round_costs(
    first: float | None, second: float | None, reply: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checks.round_costs(first, second)
    assert reply in said(capsys)


BENCHMARKS = {
    "A": "different texts", "B": "not in turns", "C": "fine", "D": "warm-up", "E": "one run",
}  # fmt: skip


def test_all_reports_judged_rightly(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(BENCHMARKS.values()) == set(MISTAKES)
    checks.wrong_benchmarks(BENCHMARKS)
    assert said(capsys).startswith(f"{RIGHT} A: the two do not write the same text; B: all runs")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_report_judged_wrongly_gets_its_own_question(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replies = set()
    for word in set(MISTAKES) - {BENCHMARKS[name]}:
        checks.wrong_benchmarks({**BENCHMARKS, name: word})
        reply = said(capsys)
        assert reply.startswith(f"{name}: not {word!r}. ")
        replies.add(reply.split(". ", 1)[1])
    assert len(replies) == 1
    assert replies.pop().endswith("?")


def test_reports_left_open(capsys: pytest.CaptureFixture[str]) -> None:
    for answers, reply in (
        (dict.fromkeys("ABCDE"), NOT_TRIED),
        ({}, NOT_TRIED),
        ({**BENCHMARKS, "B": None, "E": None}, "still open: B, E."),
        ({"A": "noise"}, "A: 'noise' is not one of 'warm-up', 'one run'"),
    ):
        checks.wrong_benchmarks(answers)
        assert reply in said(capsys)


def test_expected_tokens_are_drawn_as_described() -> None:
    alphas = (1.0, 0.5)
    ax = plots.plot_expected_tokens(alphas, 6)
    assert [list(line.get_ydata())[2] for line in ax.lines] == [3.0, 1.75]
    assert len({line.get_linestyle() for line in ax.lines}) == 2
    alt = ax.get_label()
    assert alt.endswith("alpha 1: 3.0 with 2 drafts, 7.0 with 6; alpha 0.5: 1.8 with 2 drafts, "
                        "2.0 with 6.")  # fmt: skip


def test_parts_of_a_round_are_stacked_to_its_cost() -> None:
    ax = plots.plot_round_costs(COST, (1, 4))
    tops = [bar.get_y() + bar.get_height() for bar in ax.containers[-1]]
    assert tops == pytest.approx([COST.round_seconds(g) / COST.plain() for g in (1, 4)])
    assert len({bars[0].get_hatch() for bars in ax.containers}) == 3
    assert list(ax.lines[0].get_ydata()) == pytest.approx([1.1, 1.4])
    alt = ax.get_label()
    assert "; 4 drafts: 1.62 (drafting 0.40, verify pass 1.20, the rest 0.03; with a free" in alt
    assert "1 draft: " in alt
    free = replace(COST, verify_seconds=((10.0,) * 3,) * 2)
    assert "verify pass 1.00" in plots.plot_round_costs(free, (4,)).get_label()


def test_predictions_stand_beside_what_was_measured() -> None:
    speedups = {"a": {"measured": 1.5, "predicted": 1.4}, "b": {"measured": 0.9, "predicted": 1.0}}
    ax = plots.plot_predictions(speedups)
    drawn = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert drawn["measured"] == [1.5, 0.9]
    assert drawn["predicted"] == [1.4, 1.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_label().endswith(
        "a: measured 1.50, predicted 1.40; b: measured 0.90, predicted 1.00."
    )


def test_runs_keep_the_first_one_apart() -> None:
    runs = {"plain": [9.0, 2.0, 2.2, 2.1], "drafts": [1.5, 1.0]}
    ax = plots.plot_runs(runs)
    first, later = ax.lines
    assert list(first.get_xdata()) == [9.0, 1.5]
    assert list(later.get_xdata()) == [2.0, 2.2, 2.1, 1.0]
    assert [segment[0][0] for segment in ax.collections[0].get_segments()] == [2.1, 1.0]
    alt = ax.get_label()
    assert "plain: first 9, then 2 to 2.2, median 2.1; drafts: first 1.5, then 1 to 1, " in alt


def test_scenarios_say_who_wins() -> None:
    speedups = {"easy": 2.0, "even": 1.04, "hard": 0.5}
    ax = plots.plot_scenarios(speedups)
    assert [bar.get_x() + bar.get_width() for bar in ax.patches] == pytest.approx([2.0, 1.04, 0.5])
    assert [text.get_text() for text in ax.texts] == ["2.00 wins", "1.04 about even", "0.50 loses"]
    assert len({bar.get_hatch() for bar in ax.patches}) == 3
    assert ax.get_label().endswith("easy 2.00 (wins); even 1.04 (about even); hard 0.50 (loses).")
