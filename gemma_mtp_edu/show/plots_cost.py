"""Figures about costs, draft lengths, schedules, memory and measured results."""

import statistics
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from gemma_mtp_edu.analysis import metrics
from gemma_mtp_edu.analysis.cost import MARGIN, CostModel, round_cost
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.analysis.tradeoff import Cost, Outcome, fastest_length
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.lessons.language import marked, sentences, speaking, tr
from gemma_mtp_edu.measure import results
from gemma_mtp_edu.models.memory import gigabytes
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import AT, BLUE, GREY, PER_ROUND, RED, SPEED, lines_chart, listed

if TYPE_CHECKING:
    from gemma_mtp_edu.models.memory import MemoryPlan

_ALPHAS = tuple(i / 40 for i in range(41))
_FACTS = ("pair", "dtype", "gpu", "cpu", "torch", "transformers", "gemma_mtp_edu")


def plot_round_costs(cost: CostModel, gammas: Sequence[int]) -> Axes:
    """Draw what a round costs in plain passes; marks: a verify pass costs what a plain one does."""
    ax, plain = style.axes(), cost.plain()
    drafting = {gamma: gamma * cost.drafter_step() / plain for gamma in gammas}
    parts = {
        "verify pass": {gamma: cost.verify(gamma + 1) / plain for gamma in gammas},
        "drafting": drafting,
        "the rest": dict.fromkeys(gammas, cost.rest() / plain),
    }
    total = {gamma: sum(part[gamma] for part in parts.values()) for gamma in gammas}
    ax.bar_label(style.bars(ax, parts)[-1], [f"{height:.2f}" for height in total.values()])
    paper = {gamma: share + 1 for gamma, share in drafting.items()}
    ax.plot(list(paper.values()), "D", color="black", label="with a free verify pass")
    ax.set(xlabel=PER_ROUND, ylabel="cost of a round, in plain passes")
    ax.margins(y=0.1)
    told = {**parts, marked("in all"): total, "with a free verify pass": paper}
    alt = tr("Stacked bars of the cost of a round in plain passes, by its number of drafts.")
    return style.tidy(ax, alt, listed(told, AT))


def plot_predictions(speedups: style.Numbers) -> Axes:
    """Draw for each case in a row its numbers by name, such as predicted and measured speedup."""
    ax, cases = style.axes(0.34 * len(speedups) + 1.3), list(speedups.values())
    low, high = ([limit(numbers.values()) for numbers in cases] for limit in (min, max))
    ax.hlines(range(len(cases)), low, high, color=style.DIVIDER, zorder=1)
    style.marks(ax, speedups)
    alt = tr("Marks of the speed, plain decoding being 1, in one row per case.")
    return style.tidy(ax, alt, listed(speedups))


def plot_runs(runs: Mapping[str, Sequence[float]]) -> Axes:
    """Draw the seconds of repeated runs in their order, a row for each kind; the first warms up."""
    ax, rows = style.axes(0.7 * len(runs) + 1.4), {}
    for row, (name, (first, *others)) in enumerate(runs.items()):
        # Later runs lie lower, so that equal times do not hide each other.
        heights = [row - 0.3 + 0.6 * (i + 1) / len(others) for i in range(len(others))]
        once = "_" * bool(row)  # one entry of the legend for all rows
        ax.plot(first, row - 0.3, "x", color=RED, label=f"{once}first run", markersize=9, mew=2.2)
        ax.plot(others, heights, "o", color=BLUE, mfc="none", label=f"{once}later runs, downwards")
        middle = statistics.median(others)
        ax.vlines(middle, row - 0.4, row + 0.4, "black", linewidth=2, label=f"{once}their median")
        rows[name] = {"first run": first, marked("least"): min(others), marked("median"): middle}
    ax.set_xlim(0, 1.08 * max(map(max, runs.values())))
    style.in_rows(ax, runs)
    ax.set_xlabel("seconds")
    alt = tr("Marks of the seconds of repeated runs, in one row per kind.")
    return style.tidy(ax, alt, listed(rows, "{place} {value:.3g}"))


def plot_scenarios(speedups: Mapping[str, float]) -> Axes:
    """Draw a speedup for each case as a bar from 1: to the right it is won, to the left lost."""
    ax, rows = style.axes(0.45 * len(speedups) + 1.2), {}
    looks = {"wins": (BLUE, ""), "about even": (GREY, "..."), "loses": (RED, "xx")}
    for row, (name, speedup) in enumerate(speedups.items()):
        word = "wins" if speedup > 1 else "loses"
        word = "about even" if abs(speedup - 1) <= MARGIN else word
        bar = ax.barh(row, speedup - 1, 0.6, left=1, **style.hollow(*looks[word]))
        ax.bar_label(bar, [f"{speedup:.2f} {word}"], padding=6)
        rows[name] = {word: speedup}
    ax.axvline(1, color="black")
    ax.set_xlabel(SPEED)
    ax.margins(x=0.25)
    style.in_rows(ax, speedups)
    alt = tr("Bars of the speed, to both sides of plain decoding's 1.")
    return style.tidy(ax, alt, listed(rows))


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
    overall = results.overall_speedups(card)
    lines["all together"] = {gamma: overall[gamma] for gamma in card.gammas}
    ax = lines_chart(lines, PER_ROUND, f"measured {SPEED}", {"plain decoding": 1})
    with speaking("en"):
        ax.set_title(_headline(card), loc="left", fontsize=12, fontweight="bold")
    known = {**card.provenance, "pair": card.pair}
    facts = ", ".join(f"{key} {known[key]}" for key in _FACTS if key in known)
    tokens = max(m.tokens for m in card.measurements)
    errors = sorted(map(abs, results.prediction_errors(card).values()))
    small = (
        f"{shorten(facts, 150, placeholder=' ...')}\n"
        f"greedy, one prompt a workload, up to {tokens} tokens, medians, prefill left out; "
        f"peak memory {gigabytes(card.peak_memory_bytes)}\npredicted before: median error "
        f"{statistics.median(errors):.0%}, worst {errors[-1]:.0%}"
    )
    ax.figure.text(0.01, -0.01, small, fontsize=8, va="top")
    return style.tidy(ax, sentences(f"{_headline(card)}:", str(ax.get_label())))


def _headline(card: results.ResultsCard) -> str:
    best = results.length_for_all(card)
    if not best:
        return tr("{pair}: drafting does not pay here, the target alone is as fast", pair=card.pair)
    speed = results.overall_speedups(card)[best]
    return tr("{pair}: {speed:.2f} times as fast with {drafts} per round",
              pair=card.pair, speed=speed, drafts=style.drafts(best))  # fmt: skip


def saved_and_wasted(profile: AcceptanceProfile, gammas: Sequence[int]) -> list[tuple[int, ...]]:
    """Return for each draft length: that length, target passes saved, drafts thrown away."""
    traces = {gamma: replay(profile, Constant(gamma)) for gamma in gammas}
    return [(g, metrics.saved_passes(t), metrics.wasted_drafts(t)) for g, t in traces.items()]


def plot_saved_and_wasted(profile: AcceptanceProfile, gammas: Sequence[int]) -> Axes:
    """Draw saved target passes upwards and wasted drafts downwards, by draft length."""
    ax, rows = style.axes(), {}
    _, *counts = zip(*saved_and_wasted(profile, gammas), strict=True)
    looks = ("target passes saved", 1, (BLUE, "")), ("drafts thrown away", -1, (RED, "xx"))
    for row, (name, sign, look) in zip(counts, looks, strict=True):
        heights = [sign * count for count in row]
        drawn = ax.bar(range(len(row)), heights, 0.7, label=name, **style.hollow(*look))
        ax.bar_label(drawn, list(map(str, row)), fontsize=8, padding=3)
        rows[name] = dict(zip(gammas, row, strict=True))
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(range(len(gammas)), list(map(str, gammas)))
    ax.set(xlabel=PER_ROUND, ylabel="count", yticks=[])
    ax.margins(y=0.12)
    alt = tr("Bars by drafts per round for a text of {tokens} tokens: upwards the target passes "
             "saved, downwards the drafts thrown away.", tokens=len(profile))  # fmt: skip
    return style.tidy(ax, alt, listed(rows, marked("{value} at {place}")))


def plot_schedules(outcomes: Mapping[str, Mapping[str, Outcome]]) -> Axes:
    """Draw each schedule's speed as a marker, one row per workload; the bar ends at the best."""
    rows = {text: {n: o.speedup for n, o in row.items()} for text, row in outcomes.items()}
    # All outcomes of a text have the same best possible speed.
    best = {text: next(iter(row.values())).best_speedup for text, row in outcomes.items()}
    ax = style.axes(0.15 * max(3, *map(len, outcomes.values())) * len(outcomes) + 1.3)
    ax.barh(range(len(best)), list(best.values()), 0.62, color="white", edgecolor="#767676",
            label="up to the best possible")  # fmt: skip
    # Spread over the bar's height, so that equal speeds do not hide each other.
    style.marks(ax, rows, spread=0.16)
    told = {text: {**row, marked("best possible"): best[text]} for text, row in rows.items()}
    alt = tr("Marks of the speed, plain decoding being 1, by workload, on bars that end at the "
             "best possible speed.")  # fmt: skip
    return style.tidy(ax, alt, listed(told))


def plot_speedup_surface(cost: Cost, *, alpha: float, gamma: int, max_gamma: int = 12) -> Axes:
    """Draw the expected speed over alpha and the drafts per round; a star at the reader's own."""
    ax, price = style.axes(4.0), round_cost(cost)
    gammas = range(1, min(max_gamma, getattr(cost, "max_gamma", max_gamma)) + 1)
    table = [[expected_tokens(a, n) / price(n) for a in _ALPHAS] for n in gammas]
    # The shortest of the fastest lengths; 0 where plain decoding is as fast.
    speeds = dict(zip(_ALPHAS, zip(*table, strict=True), strict=True))
    best = {a: fastest_length(row) if max(row) > 1.0 else 0 for a, row in speeds.items()}
    picture = ax.imshow(table, cmap="cividis", aspect="auto", origin="lower",
                        extent=(-1 / 80, 81 / 80, 0.5, len(table) + 0.5))  # fmt: skip
    if len(table) > 1:
        ax.contour(_ALPHAS, gammas, table, levels=[1], colors="white", linewidths=2.5)
    lengths = [length or float("nan") for length in best.values()]
    # White with a black outline is readable on the dark and on the bright end of the map.
    outline = [withStroke(linewidth=2.5, foreground="black")]
    ax.plot(_ALPHAS, lengths, "--", color="white", linewidth=1.2, path_effects=outline)
    ax.plot(alpha, gamma, "*", color="white", markeredgecolor="black", markersize=18)
    ax.set(xlabel="alpha, share of verified drafts that are right", ylabel=PER_ROUND)
    ax.set_title("star: you; thick line: as fast as plain; dashed: best length", fontsize=10)
    ax.figure.colorbar(picture, ax=ax, label=SPEED)
    pays = {n: a for n in gammas if (a := break_even_alpha(n, price(n))) is not None}
    thick = marked("thick line, the alpha where drafts begin to pay, by their number")
    dashed = marked("dashed line, the best number of drafts by alpha, 0 where none pays")
    told: style.Numbers = {thick: pays, dashed: {a: best[a] for a in (0.2, 0.4, 0.6, 0.8, 0.95)}}
    here = expected_tokens(alpha, gamma) / price(gamma)
    alt = tr("Map of the expected speed over alpha and drafts per round. The star at alpha "
             "{alpha:.2f} and {gamma} drafts lies at {here:.2f} times plain decoding.",
             alpha=alpha, gamma=gamma, here=here)  # fmt: skip
    return style.tidy(ax, alt, listed(told, marked("{value:.2g} at {place}")))
