"""Figures of the lessons on cost: what is drawn, and what alt texts say."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest

from gemma_mtp_edu.show import plots


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def test_lines_are_drawn_as_told() -> None:
    lines = {"one": {n: n / 2 for n in range(4)}, "two": {n: 1.0 for n in range(12)}}
    ax = plots.lines_chart(lines, "steps", "speed", {"plain": 1.0})
    assert list(ax.lines[0].get_ydata()) == [0.0, 0.5, 1.0, 1.5]
    assert ax.get_ylim() == pytest.approx((0, 1.575)), "room for the topmost marker"
    assert len({line.get_linestyle() for line in ax.lines}) == 3
    alt = ax.get_label()
    assert alt.startswith("Chart of 'speed' by 'steps'. one: 0.00 at 0, 0.50 at 1, ")
    assert alt.endswith("two: 1.00 at 0, 1.00 at 6, 1.00 at 11; lines across: plain 1.00.")


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
