"""Figures of a memory plan and of a results card, each with a description of the same data.

Colours are the Okabe-Ito palette's. What a colour says, a hatch, marker or line style says too.
"""

from collections.abc import Sequence
from textwrap import shorten

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.measure.results import ResultsCard
from gemma_mtp_edu.measure.sweep_score import drafts, length_for_all, overall_speedups, score
from gemma_mtp_edu.models.memory_plan import MemoryPlan, gigabytes
from gemma_mtp_edu.show.style import LINES, axes, tidy

# Parts of a plan: colour, hatch.
_PARTS = {
    "target": ("#0072B2", ""),
    "drafter": ("#009E73", "///"),
    "cache": ("#D55E00", "xx"),
    "working": ("#CC79A7", "..."),
}
_FACTS = ("pair", "dtype", "gpu", "cpu", "torch", "transformers", "gemma_mtp_edu")


def plot_memory(plans: Sequence[MemoryPlan], free_bytes: int, *, ax: Axes | None = None) -> Axes:
    """Draw what each pair needs as a stacked bar, and the free memory as a line."""
    ax = ax or axes(height=0.5 * len(plans) + 1.4)
    lefts = [0.0] * len(plans)
    for part, (color, hatch) in _PARTS.items():
        widths = [plan.parts[part] / 1e9 for plan in plans]
        ax.barh(
            range(len(plans)), widths, 0.6, left=lefts, color="white", edgecolor=color,
            hatch=hatch, linewidth=1.5, label=part,
        )  # fmt: skip
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    for row, plan in enumerate(plans):
        ax.annotate(
            f"{gigabytes(plan.total_bytes)}, {_answer(plan, free_bytes)}", (lefts[row], row),
            xytext=(5, 0), textcoords="offset points", va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    ax.axvline(free_bytes / 1e9, color="black", linestyle=":", label="free")
    ax.set_yticks(range(len(plans)), [f"{plan.name}, {plan.dtype}" for plan in plans])
    ax.set(xlabel="GB", ylim=(len(plans) - 0.5, -0.5), xlim=(0, 1.35 * max(lefts)))
    return tidy(ax, legend="beside")


def describe_memory(plans: Sequence[MemoryPlan], free_bytes: int) -> str:
    """Return in words what `plot_memory` draws."""
    rows = (
        tr(
            "{name} in {dtype} {need} (fits)"
            if plan.fits(free_bytes)
            else "{name} in {dtype} {need} (does not fit)",
            name=plan.name,
            dtype=plan.dtype,
            need=gigabytes(plan.total_bytes),
        )
        for plan in plans
    )
    return tr(
        "Stacked bars of the memory that each pair needs, against {free} free: {rows}. The "
        "target's weights are most of every bar.",
        free=gigabytes(free_bytes),
        rows="; ".join(rows),
    )


def plot_card(card: ResultsCard) -> Figure:
    """Draw a card as one picture: its conditions, and measured speed by draft length."""
    figure, ax = plt.subplots(figsize=(8, 4.8), layout="constrained")
    styles = zip(card.workloads, LINES, strict=False)
    places = range(len(card.gammas))
    for name, (color, line, marker) in styles:
        speeds = [card.speedup(name, gamma) for gamma in card.gammas]
        ax.plot(places, speeds, linestyle=line, marker=marker, color=color, label=name)
    overall = overall_speedups(card)
    ax.plot(
        places, [overall[gamma] for gamma in card.gammas], color="black", linewidth=3,
        alpha=0.45, zorder=1, label="all together",  # behind the texts' own lines
    )  # fmt: skip
    ax.axhline(1, color="black", linestyle=":", label="plain decoding")
    ax.set_xticks(places, [str(gamma) for gamma in card.gammas])
    ax.set(xlabel="drafts per round (gamma)", ylabel="measured speed, plain decoding = 1",
           ylim=(0, None))  # fmt: skip
    ax.set_title(_headline(card), loc="left", fontsize=12, fontweight="bold")
    figure.text(0.01, -0.01, _small_print(card), fontsize=8, va="top")
    tidy(ax, legend="beside")
    return figure


def describe_card(card: ResultsCard) -> str:
    """Return in words what `plot_card` draws."""
    rows = (f"{name}: {_speeds(card, name)}" for name in card.workloads)
    length = length_for_all(card)
    headline = tr(
        "Over all workloads {speedup:.2f} times as fast with {drafts} per round."
        if length
        else "Over all workloads drafting does not pay.",
        speedup=overall_speedups(card)[length],
        drafts=drafts(length),
    )
    return tr(
        "Results card of {pair}. {headline} Measured speed by workload, plain decoding being 1: "
        "{rows}.",
        pair=card.pair,
        headline=headline,
        rows="; ".join(rows),
    )


def _speeds(card: ResultsCard, workload: str) -> str:
    return ", ".join(
        tr("{speedup:.2f} with {drafts}", speedup=card.speedup(workload, n), drafts=drafts(n))
        for n in card.gammas
    )


def _headline(card: ResultsCard) -> str:
    length, speeds = length_for_all(card), overall_speedups(card)
    if length == 0:
        return f"{card.pair}: drafting does not pay here, the target alone is as fast"
    plural = "s" * (length > 1)
    return f"{card.pair}: {speeds[length]:.2f} times as fast with {length} draft{plural} per round"


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


def _answer(plan: MemoryPlan, free_bytes: int) -> str:
    return "fits" if plan.fits(free_bytes) else "does not fit"
