"""Figures of the lessons on cost: what is drawn, and what alt texts say."""

from collections.abc import Iterator
from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from gemma_mtp_edu.show import plots
from tests.unit.test_cost import make_cost

COST = make_cost()  # plain 10 s, a draft 1 s, 0.5 s for each further token, the rest 0.25 s


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def test_lines_are_drawn_as_told() -> None:
    lines = {"one": {n: n / 2 for n in range(4)}, "two": {n: 1.0 for n in range(12)}}
    ax = plots.lines_chart(lines, "steps", "speed", {"plain": 1.0})
    assert list(ax.lines[0].get_ydata()) == [0.0, 0.5, 1.0, 1.5]
    assert len({line.get_linestyle() for line in ax.lines}) == 3
    alt = ax.get_label()
    assert alt.startswith("Chart of 'speed' by 'steps'. one: 0.00 at 0, 0.50 at 1, ")
    assert alt.endswith("two: 1.00 at 0, 1.00 at 6, 1.00 at 11; lines across: plain 1.00.")


def test_parts_of_a_round_are_stacked_to_its_cost() -> None:
    ax = plots.plot_round_costs(COST, (1, 4))
    tops = [bar.get_y() + bar.get_height() for bar in ax.containers[-1]]
    assert tops == pytest.approx([COST.round_seconds(g) / COST.plain() for g in (1, 4)])
    assert len({bars[0].get_hatch() for bars in ax.containers}) == 3
    assert list(ax.lines[0].get_ydata()) == pytest.approx([1.1, 1.4])
    alt = ax.get_label()
    assert ", 1.20 at 4; drafting: 0.10 at 1, 0.40 at 4; the rest: 0.03 at 1, 0.03 at 4; " in alt
    assert ", 1.62 at 4; with a free verify pass: 1.10 at 1, 1.40 at 4." in alt
    free = replace(COST, verify_seconds=((10.0,) * 3,) * 2)
    assert "verify pass: 1.00 at 4" in plots.plot_round_costs(free, (4,)).get_label()


def test_predictions_stand_beside_what_was_measured() -> None:
    speedups = {"a": {"measured": 1.5, "predicted": 1.4}, "b": {"measured": 0.9, "predicted": 1.0}}
    ax = plots.plot_speeds(speedups)
    drawn = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert drawn["measured"] == [1.5, 0.9]
    assert drawn["predicted"] == [1.4, 1.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_label().endswith(
        "a: measured 1.50, predicted 1.40; b: measured 0.90, predicted 1.00."
    )
