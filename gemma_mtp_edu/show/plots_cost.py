"""Figures about costs, draft lengths and schedules."""

from matplotlib.axes import Axes

from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import SPEED, listed


def plot_speeds(speedups: style.Numbers) -> Axes:
    """Draw for each case in a row its speeds by name: predicted and measured, or by schedule."""
    cases, most = list(speedups.values()), max(map(len, speedups.values()))
    ax = style.axes((0.16 + 0.1 * most) * len(speedups) + 1.3)
    low, high = ([limit(numbers.values()) for numbers in cases] for limit in (min, max))
    ax.hlines(range(len(cases)), low, high, color=style.DIVIDER, zorder=1)
    for index, name in enumerate(cases[0]):
        color, _, marker = style.LINES[index % len(style.LINES)]
        # Spread over the row's height, so that equal speeds do not hide each other.
        heights = [row + 0.6 * (index - (most - 1) / 2) / most for row in range(len(cases))]
        ax.plot([case[name] for case in cases], heights, marker, color=color, label=name,
                markerfacecolor="none", markersize=7, markeredgewidth=1.8)  # fmt: skip
    ax.axvline(1, color="black", linestyle=":", label="plain decoding")
    style.in_rows(ax, speedups)
    ax.set_xlabel(SPEED)
    alt = tr("Marks of the speed, plain decoding being 1, in one row per case.")
    return style.tidy(ax, alt, listed(speedups))
