"""Figures about costs, draft lengths, schedules, memory and measured results."""

import statistics
from collections.abc import Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from gemma_mtp_edu.lessons.language import sentences, speaking, tr
from gemma_mtp_edu.measure import results
from gemma_mtp_edu.models.memory import gigabytes
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import PER_ROUND, SPEED, lines_chart, listed

if TYPE_CHECKING:
    from gemma_mtp_edu.models.memory import MemoryPlan

_FACTS = ("pair", "dtype", "gpu", "cpu", "torch", "transformers", "gemma_mtp_edu")


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


def plot_memory(plans: Sequence["MemoryPlan"], free_bytes: int) -> Axes:
    """Draw what each pair needs as a stacked bar, and the free memory as a line."""
    ax, named = style.axes(0.5 * len(plans) + 1.4), {f"{p.name}, {p.dtype}": p for p in plans}
    kinds = "target", "drafter", "cache", "working"
    parts = {kind: {n: plan.parts[kind] / 1e9 for n, plan in named.items()} for kind in kinds}
    words = ["fits" if plan.fits(free_bytes) else "does not fit" for plan in plans]
    needs = [gigabytes(plan.total_bytes) for plan in plans]
    rows = {n: {word: need} for n, word, need in zip(named, words, needs, strict=True)}
    told = [f"{need}, {word}" for need, word in zip(needs, words, strict=True)]
    ax.bar_label(style.bars(ax, parts, upright=False)[-1], told, padding=5,
                 bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    ax.axvline(free_bytes / 1e9, color="black", linestyle=":", label="free")
    ax.set_xlabel("GB")
    ax.margins(x=0.35)
    alt = tr("Stacked bars of the memory that pairs need, most of it the target's weights; "
             "a line at {free}, which are free.", free=gigabytes(free_bytes))  # fmt: skip
    return style.tidy(ax, alt, listed(rows, "{value}, {place}"))


def plot_card(card: results.ResultsCard) -> Axes:
    """Draw a card as one picture: its conditions, and measured speed by draft length."""
    lines = {name: {g: card.speedup(name, g) for g in card.gammas} for name in card.workloads}
    overall = card.overall_speedups()
    lines["all together"] = {gamma: overall[gamma] for gamma in card.gammas}
    ax = lines_chart(lines, PER_ROUND, f"measured {SPEED}", {"plain decoding": 1})
    with speaking("en"):
        ax.set_title(_headline(card), loc="left", fontsize=12, fontweight="bold")
    known = {**card.provenance, "pair": card.pair}
    facts = ", ".join(f"{key} {known[key]}" for key in _FACTS if key in known)
    tokens = max(m.tokens for m in card.measurements)
    errors = sorted(map(abs, card.prediction_errors().values()))
    small = (
        f"{shorten(facts, 150, placeholder=' ...')}\n"
        f"greedy, one prompt a workload, up to {tokens} tokens, medians, prefill left out; "
        f"peak memory {gigabytes(card.peak_memory_bytes)}\npredicted before: median error "
        f"{statistics.median(errors):.0%}, worst {errors[-1]:.0%}"
    )
    ax.figure.text(0.01, -0.01, small, fontsize=8, va="top")
    return style.tidy(ax, sentences(f"{_headline(card)}:", str(ax.get_label())))


def _headline(card: results.ResultsCard) -> str:
    best = card.length_for_all()
    if not best:
        return tr("{pair}: drafting does not pay here, the target alone is as fast", pair=card.pair)
    speed = card.overall_speedups()[best]
    return tr("{pair}: {speed:.2f} times as fast with {drafts} per round",
              pair=card.pair, speed=speed, drafts=style.drafts(best))  # fmt: skip
