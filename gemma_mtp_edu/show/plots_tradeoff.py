"""Figures of draft lengths and schedules, each with a description made from the same data.

Colours are the Okabe-Ito palette's. What a colour says, a hatch, marker or line style says too.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patheffects import AbstractPathEffect, withStroke

from gemma_mtp_edu.analysis import metrics
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.prices import Price
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.analysis.tradeoff import Outcome, fastest_length, kept_by_place, round_price
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.show.style import LINES, axes, tidy

_ALPHAS = tuple(i / 40 for i in range(41))


def saved_and_wasted(
    profile: AcceptanceProfile, gammas: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Return for each draft length: that length, target passes saved, drafts thrown away."""
    traces = [replay(profile, Constant(gamma)) for gamma in gammas]
    return [
        (gamma, metrics.saved_passes(trace), metrics.wasted_drafts(trace))
        for gamma, trace in zip(gammas, traces, strict=True)
    ]


def plot_saved_and_wasted(
    profile: AcceptanceProfile, gammas: Sequence[int], *, ax: Axes | None = None
) -> Axes:
    """Draw saved target passes upwards and wasted drafts downwards, by draft length."""
    ax = ax or axes()
    rows = saved_and_wasted(profile, gammas)
    places = range(len(rows))
    saved, wasted = [row[1] for row in rows], [-row[2] for row in rows]
    ax.bar(places, saved, 0.7, color="white", edgecolor="#0072B2", linewidth=1.5,
           label="target passes saved")  # fmt: skip
    ax.bar(places, wasted, 0.7, color="white", edgecolor="#D55E00", hatch="xx", linewidth=1.5,
           label="drafts thrown away")  # fmt: skip
    for place, up, down in zip(places, saved, wasted, strict=True):
        ax.annotate(f"{up}", (place, up), xytext=(0, 3), textcoords="offset points", ha="center",
                    fontsize=8)  # fmt: skip
        ax.annotate(f"{-down}", (place, down), xytext=(0, -3), textcoords="offset points",
                    ha="center", va="top", fontsize=8)  # fmt: skip
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(places, [str(gamma) for gamma in gammas])
    ax.set(xlabel="drafts per round (gamma)", ylabel="count")
    ax.set_yticks([])
    ax.margins(y=0.12)
    return tidy(ax, legend="beside")


def describe_saved_and_wasted(profile: AcceptanceProfile, gammas: Sequence[int]) -> str:
    """Return in words what `plot_saved_and_wasted` draws."""
    bars = (
        tr(
            "1 draft: {saved} saved, {wasted} thrown away"
            if gamma == 1
            else "{gamma} drafts: {saved} saved, {wasted} thrown away",
            gamma=gamma,
            saved=saved,
            wasted=wasted,
        )
        for gamma, saved, wasted in saved_and_wasted(profile, gammas)
    )
    return tr(
        "Bars by drafts per round for a text of {tokens} tokens: upwards the target passes "
        "saved, downwards the drafts thrown away. {bars}.",
        tokens=len(profile),
        bars="; ".join(bars),
    )


def plot_kept_by_place(
    profiles: Mapping[str, AcceptanceProfile], *, places: int = 8, ax: Axes | None = None
) -> Axes:
    """Draw how often the first, second, ... draft is kept, a line for each workload."""
    ax = ax or axes()
    for i, (name, (color, line, marker)) in enumerate(zip(profiles, LINES, strict=False)):
        shares = kept_by_place(profiles[name], places)
        # Hollow and ever smaller, so that equal shares do not hide each other.
        ax.plot(range(1, len(shares) + 1), shares, linestyle=line, marker=marker, color=color,
                markerfacecolor="none", markersize=12 - 1.5 * i, markeredgewidth=1.5,
                label=name)  # fmt: skip
    ax.set(xlabel="place of the draft in its round", ylabel="share that is kept", ylim=(0, 1.05),
           xticks=range(1, places + 1))  # fmt: skip
    return tidy(ax, legend="beside")


def describe_kept_by_place(profiles: Mapping[str, AcceptanceProfile], *, places: int = 8) -> str:
    """Return in words what `plot_kept_by_place` draws."""
    lines = (
        f"{name}: " + ", ".join(f"{share:.0%}" for share in kept_by_place(profile, places))
        for name, profile in list(profiles.items())[: len(LINES)]
    )
    return tr(
        "Line chart of the share of drafts that are kept, by their place in the round from the "
        "first on, a line for each workload. {lines}.",
        lines="; ".join(lines),
    )


def plot_lengths(speedups: Mapping[str, Sequence[float]], *, ax: Axes | None = None) -> Axes:
    """Draw the speed against the drafts per round, a line for each case, its best point ringed.

    `speedups` holds for each case the speed with 1, 2, 3, ... drafts.
    """
    ax = ax or axes()
    for (name, values), (color, line, marker) in zip(speedups.items(), LINES, strict=False):
        ax.plot(range(1, len(values) + 1), values, linestyle=line, marker=marker, markersize=4,
                color=color, label=f"{name}, best {fastest_length(values)}")  # fmt: skip
        ax.plot(fastest_length(values), max(values), "o", markersize=12, markerfacecolor="none",
                markeredgewidth=1.8, color=color)  # fmt: skip
    ax.axhline(1, color="#666666", linestyle=":", label="plain decoding")
    ax.set(xlabel="drafts per round (gamma)", ylabel="speed, plain decoding = 1", ylim=(0, None))
    return tidy(ax, legend="beside")


def describe_lengths(speedups: Mapping[str, Sequence[float]]) -> str:
    """Return in words what `plot_lengths` draws."""
    lines = (
        tr(
            "{name}: {one:.2f} with 1 draft, best {best:.2f} with {length}, {last:.2f} with {most}",
            name=name,
            one=values[0],
            best=max(values),
            length=fastest_length(values),
            last=values[-1],
            most=len(values),
        )
        for name, values in list(speedups.items())[: len(LINES)]
    )
    return tr(
        "Line chart of the speed, plain decoding being 1, by drafts per round; the best point of "
        "each line is ringed. {lines}.",
        lines="; ".join(lines),
    )


def plot_schedules(
    outcomes: Mapping[str, Mapping[str, Outcome]], *, ax: Axes | None = None
) -> Axes:
    """Draw each schedule's speed as a marker, one row per workload; the bar ends at the best.

    `outcomes` holds for each workload the outcomes by the schedule's name.
    """
    names = list(next(iter(outcomes.values())))
    ax = ax or axes(height=0.15 * max(3, len(names)) * len(outcomes) + 1.3)
    rows = range(len(outcomes))
    best = [_best_possible(by_name) for by_name in outcomes.values()]
    ax.barh(rows, best, 0.62, color="white", edgecolor="#767676", label="up to the best possible")
    for index, name in enumerate(names):
        color, _, marker = LINES[index % len(LINES)]
        values = [by_name[name].speedup for by_name in outcomes.values()]
        # Spread over the bar's height, so that equal speeds do not hide each other.
        heights = [row + 0.16 * (index - (len(names) - 1) / 2) for row in rows]
        ax.plot(values, heights, marker, color=color, markerfacecolor="none", markersize=7,
                markeredgewidth=1.8, label=name)  # fmt: skip
    ax.axvline(1, color="black", linestyle=":", label="plain decoding")
    ax.set_yticks(rows, list(outcomes))
    ax.set(xlabel="speed, plain decoding = 1", ylim=(len(outcomes) - 0.5, -0.5))
    return tidy(ax, legend="beside")


def describe_schedules(outcomes: Mapping[str, Mapping[str, Outcome]]) -> str:
    """Return in words what `plot_schedules` draws."""
    rows = (
        tr(
            "{workload}, best possible {best:.2f}: {names}",
            workload=workload,
            best=_best_possible(by_name),
            names=", ".join(
                f"{name} {result.speedup:.2f} ({result.share_of_best:.0%})"
                for name, result in by_name.items()
            ),
        )
        for workload, by_name in outcomes.items()
    )
    return tr(
        "Markers of the speed, plain decoding being 1, by workload, on bars that end at the best "
        "possible speed; in brackets the share of it. {rows}.",
        rows="; ".join(rows),
    )


def _best_possible(by_name: Mapping[str, Outcome]) -> float:
    """Return the best possible speed on the text that all of these outcomes are of."""
    return next(iter(by_name.values())).best_speedup


def plot_speedup_surface(
    cost: CostModel | float,
    *,
    alpha: float,
    gamma: int,
    max_gamma: int = 12,
    ax: Axes | None = None,
) -> Axes:
    """Draw the expected speed over alpha and the drafts per round, and mark the reader's place.

    Args:
        cost: A measured machine, or the cost of a draft in plain passes.
        alpha: The reader's share of right drafts.
        gamma: The reader's drafts per round.
        max_gamma: The most drafts per round to draw.
        ax: Where to draw.
    """
    ax = ax or axes(height=4.0)
    gammas, table = _surface(cost, max_gamma)
    # A margin that repeats the outer rows: the dashed line may run along them.
    rows, drawn = [gammas[0] - 0.4, *gammas, gammas[-1] + 0.4], [table[0], *table, table[-1]]
    levels = [0.25 * i for i in range(1, 9)] + [2.5, 3, 4, 5, 6]
    filled = ax.contourf(_ALPHAS, rows, drawn, levels=levels, cmap="cividis", extend="both")
    # White with a black outline is readable on the dark and on the bright end of the map.
    outline: list[AbstractPathEffect] = [withStroke(linewidth=2.5, foreground="black")]
    lines = ax.contour(_ALPHAS, rows, drawn, levels=[0.5, 1, 1.5, 2, 3, 4],
                       colors="white", linewidths=[0.8, 2.5, 0.8, 0.8, 0.8, 0.8])  # fmt: skip
    for label in ax.clabel(lines, fmt="%g", fontsize=9):
        label.set_path_effects(outline)
    best = [_best_that_pays(speeds) or float("nan") for speeds in zip(*table, strict=True)]
    ax.plot(_ALPHAS, best, "--", color="white", linewidth=1.2, path_effects=outline)
    ax.plot(alpha, gamma, "*", color="white", markeredgecolor="black", markersize=18)
    ax.set(xlabel="alpha, share of judged drafts that are right", ylabel="drafts per round (gamma)",
           ylim=(rows[0], rows[-1]),
           title="star: you; thick line: as fast as plain; dashed: best length")  # fmt: skip
    ax.title.set_fontsize(10)
    ax.figure.colorbar(filled, ax=ax, label="speed, plain decoding = 1")
    return ax


def describe_speedup_surface(
    cost: CostModel | float, *, alpha: float, gamma: int, max_gamma: int = 12
) -> str:
    """Return in words what `plot_speedup_surface` draws."""
    price = round_price(cost)
    gammas, _ = _surface(cost, max_gamma)
    lengths = ", ".join(
        f"{value:g}: {_best_that_pays([expected_tokens(value, g) / price(g) for g in gammas])}"
        for value in (0.2, 0.4, 0.6, 0.8, 0.95)
    )
    edge = ", ".join(_where_it_breaks_even(g, price) for g in gammas if g in (1, 4, gammas[-1]))
    here = expected_tokens(alpha, gamma) / price(gamma)
    return tr(
        "Map of the expected speed over alpha and 1 to {longest} drafts per round. The star at "
        "alpha {alpha:.2f} and {gamma} drafts lies at {here:.2f} times plain decoding. The thick "
        "line, as fast as plain decoding, by alpha: {edge}. The dashed line is the best length "
        "by alpha, 0 where none pays: {lengths}.",
        longest=gammas[-1],
        alpha=alpha,
        gamma=gamma,
        here=here,
        edge=edge,
        lengths=lengths,
    )


def _surface(cost: CostModel | float, max_gamma: int) -> tuple[list[int], list[list[float]]]:
    """Return draft lengths, and for each of them the speeds over all alphas."""
    price = round_price(cost)
    longest = min(max_gamma, cost.max_gamma) if isinstance(cost, CostModel) else max_gamma
    gammas = list(range(1, longest + 1))
    return gammas, [[expected_tokens(a, g) / price(g) for a in _ALPHAS] for g in gammas]


def _where_it_breaks_even(gamma: int, price: Price) -> str:
    """Return in words the alpha from which rounds of `gamma` drafts pay."""
    drafts = tr("1 draft") if gamma == 1 else tr("{n} drafts", n=gamma)
    alpha = break_even_alpha(gamma, 0.0, lambda _: price(gamma))
    if alpha is None:
        return tr("none with {drafts}", drafts=drafts)
    return tr("{alpha:.2f} with {drafts}", alpha=alpha, drafts=drafts)


def _best_that_pays(values: Sequence[float]) -> int:
    """Return the shortest draft length of the greatest speed; 0 where plain decoding is as fast."""
    return fastest_length(values) if max(values) > 1.0 else 0
