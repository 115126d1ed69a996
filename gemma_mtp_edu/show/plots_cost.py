"""Figures about cost, measuring, memory and measured results."""

import statistics
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from gemma_mtp_edu.analysis.cost import MARGIN, CostModel
from gemma_mtp_edu.analysis.theory import expected_tokens
from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.measure.results import ResultsCard, length_for_all, overall_speedups, score
from gemma_mtp_edu.models.memory import gigabytes
from gemma_mtp_edu.show.style import (
    BLUE,
    DIVIDER,
    GREEN,
    GREY,
    LINES,
    PINK,
    RED,
    axes,
    drafts,
    hollow,
    in_rows,
    note,
    tidy,
)

if TYPE_CHECKING:
    from gemma_mtp_edu.models.memory import MemoryPlan

_FACTS = ("pair", "dtype", "gpu", "cpu", "torch", "transformers", "gemma_mtp_edu")


def plot_expected_tokens(alphas: Sequence[float], max_gamma: int = 12) -> Axes:
    """Draw the expected tokens of a round against the drafts per round, a line for each alpha."""
    ax = axes()
    gammas, third, lines = range(max_gamma + 1), max_gamma // 3, []
    for alpha, (color, line, marker) in zip(alphas, LINES[:4], strict=False):
        tokens = [expected_tokens(alpha, gamma) for gamma in gammas]
        ax.plot(gammas, tokens, linestyle=line, marker=marker, markersize=4, color=color,
                label=f"alpha {alpha:g}")  # fmt: skip
        lines.append(
            tr(
                "alpha {alpha:g}: {few:.1f} with {third} drafts, {many:.1f} with {most}",
                alpha=alpha, few=tokens[third], third=third, many=tokens[-1], most=max_gamma,
            )
        )  # fmt: skip
    ax.set(xlabel="drafts per round (gamma)", ylabel="tokens per round", xticks=gammas,
           ylim=(0, None))  # fmt: skip
    alt = tr(
        "Line chart of the tokens of a round by its number of drafts. All lines start at 1 and "
        "flatten, the lower alpha the sooner. {lines}.",
        lines="; ".join(lines),
    )
    return tidy(ax, alt, "inside")


def round_parts(cost: CostModel, gamma: int) -> tuple[float, float, float]:
    """Return drafting, verify pass and the rest of a round, in plain passes."""
    drafting, verify = gamma * cost.drafter_step(), cost.verify(gamma + 1)
    return drafting / cost.plain(), verify / cost.plain(), cost.rest() / cost.plain()


def plot_round_costs(cost: CostModel, gammas: Sequence[int]) -> Axes:
    """Draw what a round costs by its number of drafts, in plain passes, as stacked bars.

    The markers are the paper's round, whose verify pass costs what a plain pass does.
    """
    ax = axes()
    places = range(len(gammas))
    costs = [round_parts(cost, gamma) for gamma in gammas]
    totals, paper = [sum(parts) for parts in costs], [parts[0] + 1 for parts in costs]
    styles = (("drafting", GREEN, "///"), ("verify pass", BLUE, ""), ("the rest", PINK, "xx"))
    for part, (name, *style) in enumerate(styles):
        ax.bar(places, [parts[part] for parts in costs], 0.6, label=name,
               bottom=[sum(parts[:part]) for parts in costs], **hollow(*style))  # fmt: skip
    for place, total in zip(places, totals, strict=True):
        note(ax, f"{total:.2f}", (place, total), (0, 4), ha="center")
    ax.plot(places, paper, "D", color="black", label="with a free verify pass")
    ax.set_xticks(places, [str(gamma) for gamma in gammas])
    ax.set(xlabel="drafts per round (gamma)", ylabel="cost of a round, in plain passes",
           ylim=(0, 1.12 * max(totals + paper)))  # fmt: skip
    bars = (
        tr(
            "{drafts}: {total:.2f} (drafting {drafting:.2f}, verify pass {verify:.2f}, the "
            "rest {rest:.2f}; with a free verify pass {paper:.2f})",
            drafts=drafts(gamma), total=sum(parts), drafting=parts[0], verify=parts[1],
            rest=parts[2], paper=parts[0] + 1,
        )
        for gamma, parts in zip(gammas, costs, strict=True)
    )  # fmt: skip
    alt = tr("Stacked bars of the cost of a round in plain passes. {bars}.", bars="; ".join(bars))
    return tidy(ax, alt, "beside")


def plot_predictions(speedups: Mapping[str, Mapping[str, float]]) -> Axes:
    """Draw for each case in a row its numbers by name, such as predicted and measured speedup."""
    ax = axes(0.34 * len(speedups) + 1.3)
    cases = list(speedups.values())
    low, high = ([limit(numbers.values()) for numbers in cases] for limit in (min, max))
    ax.hlines(range(len(cases)), low, high, color=DIVIDER, zorder=1)
    for name, (color, _, marker) in zip(cases[0], LINES[:4], strict=False):
        # Hollow ones stay readable where they lie on another.
        fill = color if marker == "o" else "none"
        ax.plot([numbers[name] for numbers in cases], range(len(cases)), marker, color=color,
                markerfacecolor=fill, markersize=8, markeredgewidth=1.8, label=name)  # fmt: skip
    ax.axvline(1, color="black", linestyle=":", label="as fast as plain")
    in_rows(ax, speedups, "speed, plain decoding = 1")
    rows = (
        f"{case}: " + ", ".join(f"{name} {value:.2f}" for name, value in numbers.items())
        for case, numbers in speedups.items()
    )
    alt = tr(
        "Dots of the speed, plain decoding being 1, in one row per case. {rows}.",
        rows="; ".join(rows),
    )
    return tidy(ax, alt, "beside")


def plot_runs(runs: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the seconds of repeated runs in the order in which they were made, a row for each kind.

    The first of each kind is the warm-up and has another marker; the bar is the others' median.
    """
    ax = axes(0.7 * len(runs) + 1.4)
    first, later, middle, rows = [], [], [], []
    for row, (name, (warm_up, *others)) in enumerate(runs.items()):
        # Later runs lie lower, so that equal times do not hide each other.
        first.append((warm_up, row - 0.3))
        later += [(s, row - 0.3 + 0.6 * (i + 1) / len(others)) for i, s in enumerate(others)]
        middle.append(statistics.median(others))
        rows.append(
            tr(
                "{name}: first {first:.3g}, then {low:.3g} to {high:.3g}, median {median:.3g}",
                name=name, first=warm_up, low=min(others), high=max(others), median=middle[-1],
            )
        )  # fmt: skip
    ax.plot(*zip(*first, strict=True), "x", color=RED, markersize=9, markeredgewidth=2.2,
            label="first run")  # fmt: skip
    ax.plot(*zip(*later, strict=True), "o", color=BLUE, markerfacecolor="none",
            label="later runs, downwards")  # fmt: skip
    low, high = ([row + edge for row in range(len(runs))] for edge in (-0.4, 0.4))
    ax.vlines(middle, low, high, color="black", linewidth=2, label="their median")
    ax.set_xlim(0, 1.08 * max(s for s, _ in first + later))
    in_rows(ax, runs, "seconds")
    alt = tr(
        "Dots of the seconds of repeated runs, in one row per kind. {rows}.", rows="; ".join(rows)
    )
    return tidy(ax, alt, "beside")


def plot_scenarios(speedups: Mapping[str, float]) -> Axes:
    """Draw a speedup for each case as a bar from 1: to the right it is won, to the left lost."""
    ax = axes(0.45 * len(speedups) + 1.2)
    words = []
    for row, (name, speedup) in enumerate(speedups.items()):
        word, side = marked("wins"), 1 if speedup >= 1 else -1
        style = (BLUE, "")
        if abs(speedup - 1) <= MARGIN:
            word, style = marked("about even"), (GREY, "...")
        elif speedup < 1:
            word, style = marked("loses"), (RED, "xx")
        ax.barh(row, speedup - 1, 0.6, left=1, **hollow(*style))
        note(ax, f"{speedup:.2f} {word}", (speedup, row), (6 * side, 0), va="center",
             ha="left" if side > 0 else "right")  # fmt: skip
        words.append(f"{name} {speedup:.2f} ({tr(word)})")
    ax.axvline(1, color="black")
    values = [1.0, *speedups.values()]
    room = 0.25 * (max(values) - min(values)) + 0.1
    ax.set_xlim(min(values) - room, max(values) + room)
    in_rows(ax, speedups, "speed, plain decoding = 1")
    rows = "; ".join(words)
    return tidy(
        ax, tr("Bars of the speed, to both sides of plain decoding's 1: {rows}.", rows=rows)
    )


def plot_memory(plans: Sequence["MemoryPlan"], free_bytes: int) -> Axes:
    """Draw what each pair needs as a stacked bar, and the free memory as a line."""
    ax = axes(0.5 * len(plans) + 1.4)
    lefts = [0.0] * len(plans)
    styles = (("target", BLUE, ""), ("drafter", GREEN, "///"), ("cache", RED, "xx"),
              ("working", PINK, "..."))  # fmt: skip
    for part, *style in styles:
        widths = [plan.parts[part] / 1e9 for plan in plans]
        ax.barh(range(len(plans)), widths, 0.6, left=lefts, label=part, **hollow(*style))
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    rows = []
    for row, plan in enumerate(plans):
        need, fits = gigabytes(plan.total_bytes), plan.fits(free_bytes)
        note(ax, f"{need}, {'fits' if fits else 'does not fit'}", (lefts[row], row), (5, 0),
             va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
        rows.append(
            tr(
                "{name} in {dtype} {need} (fits)"
                if fits
                else "{name} in {dtype} {need} (does not fit)",
                name=plan.name,
                dtype=plan.dtype,
                need=need,
            )
        )
    ax.axvline(free_bytes / 1e9, color="black", linestyle=":", label="free")
    in_rows(ax, (f"{plan.name}, {plan.dtype}" for plan in plans), "GB")
    ax.set_xlim(0, 1.35 * max(lefts))
    alt = tr(
        "Stacked bars of the memory that each pair needs, against {free} free: {rows}. The "
        "target's weights are most of every bar.",
        free=gigabytes(free_bytes),
        rows="; ".join(rows),
    )
    return tidy(ax, alt, "beside")


def plot_card(card: ResultsCard) -> Axes:
    """Draw a card as one picture: its conditions, and measured speed by draft length."""
    ax = axes(4.8, 8)
    places, rows = range(len(card.gammas)), []
    for name, (color, line, marker) in zip(card.workloads, LINES, strict=False):
        speeds = [card.speedup(name, gamma) for gamma in card.gammas]
        ax.plot(places, speeds, linestyle=line, marker=marker, color=color, label=name)
    for name in card.workloads:
        told = (
            tr("{speedup:.2f} with {drafts}", speedup=card.speedup(name, n), drafts=drafts(n))
            for n in card.gammas
        )
        rows.append(f"{name}: {', '.join(told)}")
    overall, best = overall_speedups(card), length_for_all(card)
    # Behind the texts' own lines.
    ax.plot(places, [overall[gamma] for gamma in card.gammas], color="black", linewidth=3,
            alpha=0.45, zorder=1, label="all together")  # fmt: skip
    ax.axhline(1, color="black", linestyle=":", label="plain decoding")
    ax.set_xticks(places, [str(gamma) for gamma in card.gammas])
    ax.set(xlabel="drafts per round (gamma)", ylabel="measured speed, plain decoding = 1",
           ylim=(0, None))  # fmt: skip
    title = "drafting does not pay here, the target alone is as fast"
    if best:
        title = f"{overall[best]:.2f} times as fast with {best} draft{'s' * (best > 1)} per round"
    ax.set_title(f"{card.pair}: {title}", loc="left", fontsize=12, fontweight="bold")
    ax.figure.text(0.01, -0.01, _small_print(card), fontsize=8, va="top")
    headline = tr(
        "Over all workloads {speedup:.2f} times as fast with {drafts} per round."
        if best
        else "Over all workloads drafting does not pay.",
        speedup=overall[best],
        drafts=drafts(best),
    )
    alt = tr(
        "Results card of {pair}. {headline} Measured speed by workload, plain decoding being 1: "
        "{rows}.",
        pair=card.pair,
        headline=headline,
        rows="; ".join(rows),
    )
    return tidy(ax, alt, "beside")


def _small_print(card: ResultsCard) -> str:
    known = {**card.provenance, "pair": card.pair}
    facts = ", ".join(f"{key} {known[key]}" for key in _FACTS if key in known)
    tokens = max(m.tokens for m in card.measurements)
    result = score(card)
    return "\n".join(
        (
            shorten(facts, 150, placeholder=" ..."),
            f"greedy, one prompt a workload, up to {tokens} tokens, medians, prefill left out; "
            f"peak memory {gigabytes(card.peak_memory_bytes)}",
            f"predicted before: median error {result.median_error:.0%}, worst "
            f"{result.worst_error:.0%}",
        )
    )
