"""Figures about cost and measuring, each with a description made from the same data.

Colours are the Okabe-Ito palette's. What a colour says, a hatch, marker or line style says too.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from matplotlib.axes import Axes

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.theory import expected_tokens
from gemma_mtp_edu.analysis.verdict import MARGIN
from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.show.style import LINES, axes, tidy

_BLUE, _RED, _GREEN, _PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_LINES = LINES[:4]
# Parts of a round, from the bottom of a bar to its top: name, colour, hatch.
_PARTS = (("drafting", _GREEN, "///"), ("verify pass", _BLUE, ""), ("the rest", _PINK, "xx"))
_OUTCOMES = {"wins": (_BLUE, ""), "about even": ("#666666", "..."), "loses": (_RED, "xx")}


def plot_expected_tokens(
    alphas: Sequence[float], max_gamma: int = 12, *, ax: Axes | None = None
) -> Axes:
    """Draw the expected tokens of a round against the drafts per round, a line for each alpha."""
    ax = ax or axes()
    gammas = range(max_gamma + 1)
    for alpha, (color, line, marker) in zip(alphas, _LINES, strict=False):
        tokens = [expected_tokens(alpha, gamma) for gamma in gammas]
        ax.plot(
            gammas, tokens, linestyle=line, marker=marker, markersize=4, color=color,
            label=f"alpha {alpha:g}",
        )  # fmt: skip
    ax.set(xlabel="drafts per round (gamma)", ylabel="tokens per round", xticks=gammas,
           ylim=(0, None))  # fmt: skip
    return tidy(ax, legend="inside")


def describe_expected_tokens(alphas: Sequence[float], max_gamma: int = 12) -> str:
    """Return in words what `plot_expected_tokens` draws."""
    lines = (
        tr(
            "alpha {alpha:g}: {few:.1f} with {third} drafts, {many:.1f} with {most}",
            alpha=alpha,
            few=expected_tokens(alpha, max_gamma // 3),
            third=max_gamma // 3,
            many=expected_tokens(alpha, max_gamma),
            most=max_gamma,
        )
        for alpha in alphas[: len(_LINES)]
    )
    return tr(
        "Line chart of the tokens of a round by its number of drafts. All lines start at 1 and "
        "flatten, the lower alpha the sooner. {lines}.",
        lines="; ".join(lines),
    )


def round_parts(cost: CostModel, gamma: int) -> tuple[float, float, float]:
    """Return drafting, verify pass and the rest of a round, in plain passes."""
    drafting, verify = gamma * cost.drafter_step(), cost.verify(gamma + 1)
    return drafting / cost.plain(), verify / cost.plain(), cost.rest() / cost.plain()


def plot_round_costs(cost: CostModel, gammas: Sequence[int], *, ax: Axes | None = None) -> Axes:
    """Draw what a round costs by its number of drafts, in plain passes, as stacked bars.

    The markers are the paper's round, whose verify pass costs what a plain pass does.
    """
    ax = ax or axes()
    places, bottoms = range(len(gammas)), [0.0] * len(gammas)
    costs = [round_parts(cost, gamma) for gamma in gammas]
    for part, (name, color, hatch) in enumerate(_PARTS):
        heights = [parts[part] for parts in costs]
        ax.bar(
            places, heights, 0.6, bottom=bottoms, color="white", edgecolor=color, hatch=hatch,
            linewidth=1.5, label=name,
        )  # fmt: skip
        bottoms = [low + height for low, height in zip(bottoms, heights, strict=True)]
    for place, total in zip(places, bottoms, strict=True):
        ax.annotate(f"{total:.2f}", (place, total), xytext=(0, 4), textcoords="offset points",
                    ha="center")  # fmt: skip
    paper = [parts[0] + 1 for parts in costs]
    ax.plot(places, paper, "D", color="black", label="with a free verify pass")
    ax.set_xticks(places, [str(gamma) for gamma in gammas])
    ax.set(xlabel="drafts per round (gamma)", ylabel="cost of a round, in plain passes",
           ylim=(0, 1.12 * max(bottoms + paper)))  # fmt: skip
    return tidy(ax, legend="beside")


def describe_round_costs(cost: CostModel, gammas: Sequence[int]) -> str:
    """Return in words what `plot_round_costs` draws."""
    bars = []
    for gamma in gammas:
        drafting, verify, rest = round_parts(cost, gamma)
        bars.append(
            tr(
                "{drafts}: {total:.2f} (drafting {drafting:.2f}, verify pass {verify:.2f}, the "
                "rest {rest:.2f}; with a free verify pass {paper:.2f})",
                drafts=tr("1 draft") if gamma == 1 else tr("{n} drafts", n=gamma),
                total=drafting + verify + rest,
                drafting=drafting,
                verify=verify,
                rest=rest,
                paper=drafting + 1,
            )
        )
    return tr("Stacked bars of the cost of a round in plain passes. {bars}.", bars="; ".join(bars))


def plot_predictions(
    speedups: Mapping[str, Mapping[str, float]], *, ax: Axes | None = None
) -> Axes:
    """Draw for each case in a row its numbers by name, such as predicted and measured speedup."""
    ax = ax or axes(height=0.34 * len(speedups) + 1.3)
    rows = range(len(speedups))
    ranges = [(min(numbers.values()), max(numbers.values())) for numbers in speedups.values()]
    low, high = zip(*ranges, strict=True)
    ax.hlines(rows, low, high, color="#BBBBBB", zorder=1)
    names = next(iter(speedups.values()))
    for name, (color, _, marker) in zip(names, _LINES, strict=False):
        # Hollow ones stay readable where they lie on another.
        fill = color if marker == "o" else "none"
        values = [numbers[name] for numbers in speedups.values()]
        ax.plot(values, rows, marker, color=color, markerfacecolor=fill, markersize=8,
                markeredgewidth=1.8, label=name)  # fmt: skip
    ax.axvline(1, color="black", linestyle=":", label="as fast as plain")
    return tidy(_in_rows(ax, speedups, "speed, plain decoding = 1"), legend="beside")


def describe_predictions(speedups: Mapping[str, Mapping[str, float]]) -> str:
    """Return in words what `plot_predictions` draws."""
    rows = (
        f"{case}: " + ", ".join(f"{name} {value:.2f}" for name, value in numbers.items())
        for case, numbers in speedups.items()
    )
    return tr(
        "Dots of the speed, plain decoding being 1, in one row per case. {rows}.",
        rows="; ".join(rows),
    )


def plot_runs(runs: Mapping[str, Sequence[float]], *, ax: Axes | None = None) -> Axes:
    """Draw the seconds of repeated runs in the order in which they were made, a row for each kind.

    The first of each kind is the warm-up and has another marker; the bar is the others' median.
    """
    ax = ax or axes(height=0.7 * len(runs) + 1.4)
    first, later, middle = [], [], []
    for row, (warm_up, *others) in enumerate(runs.values()):
        # Later runs lie lower, so that equal times do not hide each other.
        first.append((warm_up, row - 0.3))
        later += [(s, row - 0.3 + 0.6 * (i + 1) / len(others)) for i, s in enumerate(others)]
        middle.append(statistics.median(others))
    ax.plot(*zip(*first, strict=True), "x", color=_RED, markersize=9, markeredgewidth=2.2,
            label="first run")  # fmt: skip
    ax.plot(*zip(*later, strict=True), "o", color=_BLUE, markerfacecolor="none",
            label="later runs, downwards")  # fmt: skip
    low, high = ([row + edge for row in range(len(runs))] for edge in (-0.4, 0.4))
    ax.vlines(middle, low, high, color="black", linewidth=2, label="their median")
    ax.set_xlim(0, 1.08 * max(s for s, _ in first + later))
    return tidy(_in_rows(ax, runs, "seconds"), legend="beside")


def describe_runs(runs: Mapping[str, Sequence[float]]) -> str:
    """Return in words what `plot_runs` draws."""
    rows = (
        tr(
            "{name}: first {first:.3g}, then {low:.3g} to {high:.3g}, median {median:.3g}",
            name=name,
            first=seconds[0],
            low=min(seconds[1:]),
            high=max(seconds[1:]),
            median=statistics.median(seconds[1:]),
        )
        for name, seconds in runs.items()
    )
    return tr(
        "Dots of the seconds of repeated runs, in one row per kind. {rows}.", rows="; ".join(rows)
    )


def plot_scenarios(speedups: Mapping[str, float], *, ax: Axes | None = None) -> Axes:
    """Draw a speedup for each case as a bar from 1: to the right it is won, to the left lost."""
    ax = ax or axes(height=0.45 * len(speedups) + 1.2)
    for row, speedup in enumerate(speedups.values()):
        word, side = _outcome(speedup), 1 if speedup >= 1 else -1
        color, hatch = _OUTCOMES[word]
        ax.barh(row, speedup - 1, 0.6, left=1, color="white", edgecolor=color, hatch=hatch,
                linewidth=1.5)  # fmt: skip
        ax.annotate(f"{speedup:.2f} {word}", (speedup, row), xytext=(6 * side, 0), va="center",
                    textcoords="offset points", ha="left" if side > 0 else "right")  # fmt: skip
    ax.axvline(1, color="black")
    values = [1.0, *speedups.values()]
    room = 0.25 * (max(values) - min(values)) + 0.1
    ax.set_xlim(min(values) - room, max(values) + room)
    return tidy(_in_rows(ax, speedups, "speed, plain decoding = 1"))


def describe_scenarios(speedups: Mapping[str, float]) -> str:
    """Return in words what `plot_scenarios` draws."""
    rows = (f"{name} {speed:.2f} ({tr(_outcome(speed))})" for name, speed in speedups.items())
    return tr(
        "Bars of the speed, to both sides of plain decoding's 1: {rows}.", rows="; ".join(rows)
    )


def _outcome(speedup: float) -> str:
    if abs(speedup - 1) <= MARGIN:
        return marked("about even")
    return marked("wins" if speedup > 1 else "loses")


def _in_rows(ax: Axes, names: Iterable[str], xlabel: str) -> Axes:
    labels = list(names)
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlabel=xlabel, ylim=(len(labels) - 0.5, -0.5))
    return ax
