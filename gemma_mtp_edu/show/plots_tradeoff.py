"""Figures of draft lengths and schedules."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.patheffects import AbstractPathEffect, withStroke

from gemma_mtp_edu.analysis import metrics
from gemma_mtp_edu.analysis.cost import CostModel, round_cost
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.analysis.tradeoff import Outcome, fastest_length, kept_by_place
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import BLUE, GREY, LINES, PER_ROUND, RED, SPEED, drafts, hollow

_ALPHAS = tuple(i / 40 for i in range(41))


def saved_and_wasted(
    profile: AcceptanceProfile, gammas: Sequence[int]
) -> list[tuple[int, int, int]]:
    """Return for each draft length: that length, target passes saved, drafts thrown away."""
    traces = {gamma: replay(profile, Constant(gamma)) for gamma in gammas}
    return [
        (gamma, metrics.saved_passes(trace), metrics.wasted_drafts(trace))
        for gamma, trace in traces.items()
    ]


def plot_saved_and_wasted(profile: AcceptanceProfile, gammas: Sequence[int]) -> Axes:
    """Draw saved target passes upwards and wasted drafts downwards, by draft length."""
    ax, bars = style.axes(), []
    rows, places = saved_and_wasted(profile, gammas), style.by_length(ax, gammas, "count")
    up, down = [saved for _, saved, _ in rows], [-wasted for _, _, wasted in rows]
    ax.bar(places, up, 0.7, label="target passes saved", **hollow(BLUE))
    ax.bar(places, down, 0.7, label="drafts thrown away", **hollow(RED, "xx"))
    for place, (gamma, saved, wasted) in enumerate(rows):
        style.note(ax, f"{saved}", place, saved, 0, 3, ha="center", fontsize=8)
        style.note(ax, f"{wasted}", place, -wasted, 0, -3, ha="center", va="top", fontsize=8)
        counts = marked("{gamma} drafts: {saved} saved, {wasted} thrown away")
        if gamma == 1:
            counts = marked("1 draft: {saved} saved, {wasted} thrown away")
        bars.append(tr(counts, gamma=gamma, saved=saved, wasted=wasted))
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_yticks([])
    ax.margins(y=0.12)
    alt = tr(
        "Bars by drafts per round for a text of {tokens} tokens: upwards the target passes "
        "saved, downwards the drafts thrown away. {bars}.",
        tokens=len(profile),
        bars="; ".join(bars),
    )
    return style.tidy(ax, alt, "beside")


def plot_kept_by_place(profiles: Mapping[str, AcceptanceProfile], *, places: int = 8) -> Axes:
    """Draw how often the first, second, ... draft is kept, a line for each workload."""
    ax, lines = style.axes(), []
    for i, (name, look) in enumerate(zip(profiles, LINES, strict=False)):
        shares = kept_by_place(profiles[name], places)
        # Hollow and ever smaller, so that equal shares do not hide each other.
        style.line(ax, range(1, len(shares) + 1), shares, look, name, markerfacecolor="none",
                   markersize=12 - 1.5 * i, markeredgewidth=1.5)  # fmt: skip
        lines.append(f"{name}: " + ", ".join(f"{share:.0%}" for share in shares))
    ax.set(xlabel="place of the draft in its round", ylabel="share that is kept", ylim=(0, 1.05),
           xticks=range(1, places + 1))  # fmt: skip
    alt = tr(
        "Line chart of the share of drafts that are kept, by their place in the round from the "
        "first on, a line for each workload. {lines}.",
        lines="; ".join(lines),
    )
    return style.tidy(ax, alt, "beside")


def plot_lengths(speedups: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the speed against the drafts per round, a line for each case, its best point ringed.

    `speedups` holds for each case the speed with 1, 2, 3, ... drafts.
    """
    ax, lines = style.axes(), []
    for (name, values), look in zip(speedups.items(), LINES, strict=False):
        best, most = fastest_length(values), len(values)
        style.line(ax, range(1, most + 1), values, look, f"{name}, best {best}", markersize=4)
        ax.plot(best, max(values), "o", markersize=12, markerfacecolor="none",
                markeredgewidth=1.8, color=look[0])  # fmt: skip
        lines.append(
            tr(
                "{name}: {one:.2f} with 1 draft, best {best:.2f} with {length}, {last:.2f} with "
                "{most}",
                name=name, one=values[0], best=max(values), length=best, last=values[-1], most=most,
            )
        )  # fmt: skip
    ax.axhline(1, color=GREY, linestyle=":", label="plain decoding")
    ax.set(xlabel=PER_ROUND, ylabel=SPEED, ylim=(0, None))
    alt = tr(
        "Line chart of the speed, plain decoding being 1, by drafts per round; the best point of "
        "each line is ringed. {lines}.",
        lines="; ".join(lines),
    )
    return style.tidy(ax, alt, "beside")


def plot_schedules(outcomes: Mapping[str, Mapping[str, Outcome]]) -> Axes:
    """Draw each schedule's speed as a marker, one row per workload; the bar ends at the best.

    `outcomes` holds for each workload the outcomes by the schedule's name.
    """
    names, rows = list(next(iter(outcomes.values()))), range(len(outcomes))
    ax, lines = style.axes(0.15 * max(3, len(names)) * len(outcomes) + 1.3), []
    # All outcomes of a text have the same best possible speed.
    best = [by_name[names[0]].best_speedup for by_name in outcomes.values()]
    ax.barh(rows, best, 0.62, color="white", edgecolor="#767676", label="up to the best possible")
    for index, name in enumerate(names):
        color, _, marker = LINES[index % len(LINES)]
        values = [by_name[name].speedup for by_name in outcomes.values()]
        # Spread over the bar's height, so that equal speeds do not hide each other.
        heights = [row + 0.16 * (index - (len(names) - 1) / 2) for row in rows]
        ax.plot(values, heights, marker, color=color, markerfacecolor="none", markersize=7,
                markeredgewidth=1.8, label=name)  # fmt: skip
    ax.axvline(1, color="black", linestyle=":", label="plain decoding")
    style.in_rows(ax, outcomes, SPEED)
    for (workload, by_name), bound in zip(outcomes.items(), best, strict=True):
        told = (f"{n} {o.speedup:.2f} ({o.share_of_best:.0%})" for n, o in by_name.items())
        row = marked("{workload}, best possible {best:.2f}: {names}")
        lines.append(tr(row, workload=workload, best=bound, names=", ".join(told)))
    alt = tr(
        "Markers of the speed, plain decoding being 1, by workload, on bars that end at the best "
        "possible speed; in brackets the share of it. {rows}.",
        rows="; ".join(lines),
    )
    return style.tidy(ax, alt, "beside")


def plot_speedup_surface(
    cost: CostModel | float, *, alpha: float, gamma: int, max_gamma: int = 12
) -> Axes:
    """Draw the expected speed over alpha and the drafts per round; a star at the reader's own two.

    `cost` is a measured machine, or the cost of a draft in plain passes.
    """
    ax, price = style.axes(4.0), round_cost(cost)
    longest = min(max_gamma, cost.max_gamma) if isinstance(cost, CostModel) else max_gamma
    gammas = range(1, longest + 1)

    def speeds(value: float) -> list[float]:
        return [expected_tokens(value, n) / price(n) for n in gammas]

    def best(value: float) -> int:
        """Return the shortest of the fastest lengths; 0 where plain decoding is as fast."""
        return fastest_length(speeds(value)) if max(speeds(value)) > 1.0 else 0

    table = list(zip(*map(speeds, _ALPHAS), strict=True))
    # A margin that repeats the outer rows: the dashed line may run along them.
    rows, drawn = [0.6, *gammas, longest + 0.4], [table[0], *table, table[-1]]
    levels = [0.25 * i for i in range(1, 9)] + [2.5, 3, 4, 5, 6]
    filled = ax.contourf(_ALPHAS, rows, drawn, levels=levels, cmap="cividis", extend="both")
    # White with a black outline is readable on the dark and on the bright end of the map.
    outline: list[AbstractPathEffect] = [withStroke(linewidth=2.5, foreground="black")]
    lines = ax.contour(_ALPHAS, rows, drawn, levels=[0.5, 1, 1.5, 2, 3, 4],
                       colors="white", linewidths=[0.8, 2.5, 0.8, 0.8, 0.8, 0.8])  # fmt: skip
    for label in ax.clabel(lines, fmt="%g", fontsize=9):
        label.set_path_effects(outline)
    ax.plot(_ALPHAS, [best(value) or float("nan") for value in _ALPHAS], "--", color="white",
            linewidth=1.2, path_effects=outline)  # fmt: skip
    ax.plot(alpha, gamma, "*", color="white", markeredgecolor="black", markersize=18)
    ax.set(xlabel="alpha, share of verified drafts that are right", ylabel=PER_ROUND,
           ylim=(rows[0], rows[-1]),
           title="star: you; thick line: as fast as plain; dashed: best length")  # fmt: skip
    ax.title.set_fontsize(10)
    ax.figure.colorbar(filled, ax=ax, label=SPEED)
    alt = tr(
        "Map of the expected speed over alpha and 1 to {longest} drafts per round. The star at "
        "alpha {alpha:.2f} and {gamma} drafts lies at {here:.2f} times plain decoding. The thick "
        "line, as fast as plain decoding, by alpha: {edge}. The dashed line is the best length "
        "by alpha, 0 where none pays: {lengths}.",
        longest=longest,
        alpha=alpha,
        gamma=gamma,
        here=expected_tokens(alpha, gamma) / price(gamma),
        edge=", ".join(_pays_from(n, price(n)) for n in gammas if n in (1, 4, longest)),
        lengths=", ".join(f"{value:g}: {best(value)}" for value in (0.2, 0.4, 0.6, 0.8, 0.95)),
    )
    return style.told(ax, alt)


def _pays_from(gamma: int, price: float) -> str:
    """Return in words the alpha from which rounds of `gamma` drafts pay."""
    alpha = break_even_alpha(gamma, 0.0, lambda _: price)
    if alpha is None:
        return tr("none with {drafts}", drafts=drafts(gamma))
    return tr("{alpha:.2f} with {drafts}", alpha=alpha, drafts=drafts(gamma))
