"""Figures about cost, measuring, memory and measured results."""

import statistics
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from gemma_mtp_edu.analysis.cost import MARGIN, CostModel
from gemma_mtp_edu.analysis.theory import expected_tokens
from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.measure import results
from gemma_mtp_edu.models.memory import gigabytes
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import BLUE, GREEN, GREY, LINES, PINK, RED, SPEED, drafts, hollow

if TYPE_CHECKING:
    from gemma_mtp_edu.models.memory import MemoryPlan

_FACTS = ("pair", "dtype", "gpu", "cpu", "torch", "transformers", "gemma_mtp_edu")


def plot_expected_tokens(alphas: Sequence[float], max_gamma: int = 12) -> Axes:
    """Draw the expected tokens of a round against the drafts per round, a line for each alpha."""
    ax, lines = style.axes(), []
    gammas, third = range(max_gamma + 1), max_gamma // 3
    for alpha, look in zip(alphas, LINES[:4], strict=False):
        tokens = [expected_tokens(alpha, gamma) for gamma in gammas]
        style.line(ax, gammas, tokens, look, f"alpha {alpha:g}", markersize=4)
        lines.append(
            tr(
                "alpha {alpha:g}: {few:.1f} with {third} drafts, {many:.1f} with {most}",
                alpha=alpha, few=tokens[third], third=third, many=tokens[-1], most=max_gamma,
            )
        )  # fmt: skip
    ax.set(xlabel=style.PER_ROUND, ylabel="tokens per round", xticks=gammas, ylim=(0, None))
    alt = tr(
        "Line chart of the tokens of a round by its number of drafts. All lines start at 1 and "
        "flatten, the lower alpha the sooner. {lines}.",
        lines="; ".join(lines),
    )
    return style.tidy(ax, alt, "inside")


def plot_round_costs(cost: CostModel, gammas: Sequence[int]) -> Axes:
    """Draw what a round costs by its number of drafts, in plain passes, as stacked bars.

    The markers are the paper's round, whose verify pass costs what a plain pass does.
    """
    ax, bars, plain = style.axes(), [], cost.plain()
    places = style.by_length(ax, gammas, "cost of a round, in plain passes")
    parts = {
        "drafting": [gamma * cost.drafter_step() / plain for gamma in gammas],
        "verify pass": [cost.verify(gamma + 1) / plain for gamma in gammas],
        "the rest": [cost.rest() / plain for _ in gammas],
    }
    style.stacked_bars(ax, parts, (hollow(GREEN, "///"), hollow(BLUE), hollow(PINK, "xx")))
    for place, gamma, drafting, verify, rest in zip(places, gammas, *parts.values(), strict=True):
        total = drafting + verify + rest
        style.note(ax, f"{total:.2f}", place, total, 0, 4, ha="center")
        bars.append(
            tr(
                "{drafts}: {total:.2f} (drafting {drafting:.2f}, verify pass {verify:.2f}, the "
                "rest {rest:.2f}; with a free verify pass {paper:.2f})",
                drafts=drafts(gamma), total=total, drafting=drafting, verify=verify, rest=rest,
                paper=drafting + 1,
            )
        )  # fmt: skip
    paper = [drafting + 1 for drafting in parts["drafting"]]
    ax.plot(places, paper, "D", color="black", label="with a free verify pass")
    ax.set_ylim(0, 1.12 * max(*map(sum, zip(*parts.values(), strict=True)), *paper))
    alt = tr("Stacked bars of the cost of a round in plain passes. {bars}.", bars="; ".join(bars))
    return style.tidy(ax, alt, "beside")


def plot_predictions(speedups: Mapping[str, Mapping[str, float]]) -> Axes:
    """Draw for each case in a row its numbers by name, such as predicted and measured speedup."""
    ax, cases = style.axes(0.34 * len(speedups) + 1.3), list(speedups.values())
    low, high = ([limit(numbers.values()) for numbers in cases] for limit in (min, max))
    ax.hlines(range(len(cases)), low, high, color=style.DIVIDER, zorder=1)
    for name, (color, _, marker) in zip(cases[0], LINES[:4], strict=False):
        # Hollow ones stay readable where they lie on another.
        fill = color if marker == "o" else "none"
        ax.plot([numbers[name] for numbers in cases], range(len(cases)), marker, color=color,
                markerfacecolor=fill, markersize=8, markeredgewidth=1.8, label=name)  # fmt: skip
    ax.axvline(1, color="black", linestyle=":", label="as fast as plain")
    style.in_rows(ax, speedups, SPEED)
    rows = "; ".join(
        f"{case}: " + ", ".join(f"{name} {value:.2f}" for name, value in numbers.items())
        for case, numbers in speedups.items()
    )
    alt = tr("Dots of the speed, plain decoding being 1, in one row per case. {rows}.", rows=rows)
    return style.tidy(ax, alt, "beside")


def plot_runs(runs: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the seconds of repeated runs in the order in which they were made, a row for each kind.

    The first of each kind is the warm-up and has another marker; the bar is the others' median.
    """
    ax = style.axes(0.7 * len(runs) + 1.4)
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
    style.in_rows(ax, runs, "seconds")
    told = "; ".join(rows)
    alt = tr("Dots of the seconds of repeated runs, in one row per kind. {rows}.", rows=told)
    return style.tidy(ax, alt, "beside")


def plot_scenarios(speedups: Mapping[str, float]) -> Axes:
    """Draw a speedup for each case as a bar from 1: to the right it is won, to the left lost."""
    ax, words = style.axes(0.45 * len(speedups) + 1.2), []
    for row, (name, speedup) in enumerate(speedups.items()):
        word, look = marked("wins"), hollow(BLUE)
        if abs(speedup - 1) <= MARGIN:
            word, look = marked("about even"), hollow(GREY, "...")
        elif speedup < 1:
            word, look = marked("loses"), hollow(RED, "xx")
        ax.barh(row, speedup - 1, 0.6, left=1, **look)
        side, align = (6, "left") if speedup >= 1 else (-6, "right")
        style.note(ax, f"{speedup:.2f} {word}", speedup, row, side, 0, va="center", ha=align)
        words.append(f"{name} {speedup:.2f} ({tr(word)})")
    ax.axvline(1, color="black")
    low, high = min(1.0, *speedups.values()), max(1.0, *speedups.values())
    room = 0.25 * (high - low) + 0.1
    ax.set_xlim(low - room, high + room)
    style.in_rows(ax, speedups, SPEED)
    rows = "; ".join(words)
    alt = tr("Bars of the speed, to both sides of plain decoding's 1: {rows}.", rows=rows)
    return style.tidy(ax, alt)


def plot_memory(plans: Sequence["MemoryPlan"], free_bytes: int) -> Axes:
    """Draw what each pair needs as a stacked bar, and the free memory as a line."""
    ax, rows = style.axes(0.5 * len(plans) + 1.4), []
    names = ("target", "drafter", "cache", "working")
    parts = {name: [plan.parts[name] / 1e9 for plan in plans] for name in names}
    looks = hollow(BLUE), hollow(GREEN, "///"), hollow(RED, "xx"), hollow(PINK, "...")
    style.stacked_bars(ax, parts, looks, upright=False)
    for row, plan in enumerate(plans):
        need, fits = gigabytes(plan.total_bytes), plan.fits(free_bytes)
        words = f"{need}, {'fits' if fits else 'does not fit'}"
        style.note(ax, words, plan.total_bytes / 1e9, row, 5, 0, va="center",
                   bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
        told = marked("{name} in {dtype} {need} (does not fit)")
        if fits:
            told = marked("{name} in {dtype} {need} (fits)")
        rows.append(tr(told, name=plan.name, dtype=plan.dtype, need=need))
    ax.axvline(free_bytes / 1e9, color="black", linestyle=":", label="free")
    style.in_rows(ax, (f"{plan.name}, {plan.dtype}" for plan in plans), "GB")
    ax.set_xlim(0, 1.35 * max(plan.total_bytes / 1e9 for plan in plans))
    alt = tr(
        "Stacked bars of the memory that each pair needs, against {free} free: {rows}. The "
        "target's weights are most of every bar.",
        free=gigabytes(free_bytes),
        rows="; ".join(rows),
    )
    return style.tidy(ax, alt, "beside")


def plot_card(card: results.ResultsCard) -> Axes:
    """Draw a card as one picture: its conditions, and measured speed by draft length."""
    ax, rows = style.axes(4.8, 8), []
    places = style.by_length(ax, card.gammas, f"measured {SPEED}")
    speeds = {name: [card.speedup(name, gamma) for gamma in card.gammas] for name in card.workloads}
    for (name, values), look in zip(speeds.items(), LINES, strict=False):
        style.line(ax, places, values, look, name)
    for name, values in speeds.items():
        told = (
            tr("{speedup:.2f} with {drafts}", speedup=value, drafts=drafts(gamma))
            for gamma, value in zip(card.gammas, values, strict=True)
        )
        rows.append(f"{name}: {', '.join(told)}")
    overall, best = results.overall_speedups(card), results.length_for_all(card)
    # Behind the texts' own lines.
    ax.plot(places, [overall[gamma] for gamma in card.gammas], color="black", linewidth=3,
            alpha=0.45, zorder=1, label="all together")  # fmt: skip
    ax.axhline(1, color="black", linestyle=":", label="plain decoding")
    ax.set_ylim(0, None)
    title = "drafting does not pay here, the target alone is as fast"
    headline = tr("Over all workloads drafting does not pay.")
    if best:
        title = f"{overall[best]:.2f} times as fast with {best} draft{'s' * (best > 1)} per round"
        headline = tr(
            "Over all workloads {speedup:.2f} times as fast with {drafts} per round.",
            speedup=overall[best],
            drafts=drafts(best),
        )
    ax.set_title(f"{card.pair}: {title}", loc="left", fontsize=12, fontweight="bold")
    ax.figure.text(0.01, -0.01, _small_print(card), fontsize=8, va="top")
    alt = tr(
        "Results card of {pair}. {headline} Measured speed by workload, plain decoding being 1: "
        "{rows}.",
        pair=card.pair,
        headline=headline,
        rows="; ".join(rows),
    )
    return style.tidy(ax, alt, "beside")


def _small_print(card: results.ResultsCard) -> str:
    known = {**card.provenance, "pair": card.pair}
    facts = ", ".join(f"{key} {known[key]}" for key in _FACTS if key in known)
    tokens = max(m.tokens for m in card.measurements)
    errors = sorted(map(abs, results.prediction_errors(card).values()))
    return (
        f"{shorten(facts, 150, placeholder=' ...')}\n"
        f"greedy, one prompt a workload, up to {tokens} tokens, medians, prefill left out; "
        f"peak memory {gigabytes(card.peak_memory_bytes)}\npredicted before: median error "
        f"{statistics.median(errors):.0%}, worst {errors[-1]:.0%}"
    )
