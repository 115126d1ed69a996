"""Figures of what happens inside the drafter."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm

from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import BLUE, LINES, RED, hollow
from gemma_mtp_edu.show.views import visible

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.ablation import AblationResult
    from gemma_mtp_edu.analysis.inside import DraftStep, LayerView

_HATCHES = ("", "///", "...", "xx", "\\\\\\", "++")


def plot_attention(step: "DraftStep", names: Sequence[str], *, count: int = 40) -> Axes:
    """Draw where each head of a draft step looks, over the last tokens of the text.

    What a head reads of all tokens before the last `count` is summed in a first column, so that
    every row sums to 1. The colours mean the same shares in every drawing.
    """
    ax = style.axes(4.2)
    start = max(0, step.position - count)
    rows: list[list[float]] = []
    labels, places, parts = [], [], []
    for index, layer in enumerate(step.layers):
        labels.append(f"layer {index}\n{layer.attention}")
        places.append(len(rows) + (len(layer.weights) - 1) / 2)
        if index:
            ax.axhline(len(rows) - 0.5, color="black", linewidth=0.8)
        shares = _shares(layer, start)
        rows += shares
        mean = [sum(column) / len(column) for column in zip(*shares, strict=True)]
        drawn = mean[1:] if start else mean
        at = start + drawn.index(max(drawn))
        part = tr(
            "layer {index} ({kind}) {share:.0%} to {token!r}, {back} back",
            index=index, kind=layer.attention, share=max(drawn), token=visible(names[at]),
            back=step.position - at,
        )  # fmt: skip
        parts.append(tr("{part}, {share:.0%} earlier", part=part, share=mean[0]) if start else part)
    # Shares are small where a head reads many tokens: the root of a share sets them apart.
    picture = ax.imshow(rows, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1), aspect="auto",
                        interpolation="nearest")  # fmt: skip
    ax.set_yticks(places, labels)
    shown = ["earlier"] * bool(start) + [visible(name) for name in names[start : step.position]]
    if start:
        ax.axvline(0.5, color="black", linewidth=0.8)
    ax.set_xticks(range(len(shown)), shown, rotation=90, family="monospace", fontsize=8)
    ax.tick_params(length=0)
    ax.set(xlabel="token of the text, as far as the target has read it",
           ylabel="a row for each head")  # fmt: skip
    ax.figure.colorbar(picture, ax=ax, label="share of the head's attention", pad=0.01,
                       ticks=(0, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1))  # fmt: skip
    earlier = tr(" A first column, 'earlier', holds the sum over all tokens before those.")
    alt = tr(
        "Heat map of a draft step's attention over the last {count} tokens before {newest!r}, a "
        "row for each head.{earlier} Of the tokens drawn, the one that gets most on average over "
        "a layer's heads: {parts}.",
        count=step.position - start,
        newest=visible(names[step.position]),
        earlier=earlier if start else "",
        parts="; ".join(parts),
    )
    return style.told(ax, alt)


def _shares(layer: "LayerView", start: int) -> list[list[float]]:
    """Return what each head reads of each token from `start` on, and first the sum before it."""
    padding, cut = max(0, layer.first - start), max(0, start - layer.first)
    return [
        [sum(head[:cut])] * bool(start) + [0.0] * padding + head[cut:]
        for head in layer.weights.tolist()
    ]


def plot_ablations(results: Sequence["AblationResult"]) -> Axes:
    """Draw for each change how many drafts of a chain are kept, by draft; a mark for the whole."""
    ax, rows = style.axes(0.42 * len(results) + 1.4), []
    longest = max(len(result.kept) for result in results)
    for row, result in enumerate(results):
        whole, left = sum(result.as_is), 0.0
        for (color, _, _), hatch, share in zip(LINES, _HATCHES, result.kept, strict=False):
            ax.barh(row, share, 0.68, left=left, **hollow(color, hatch))
            if share > 0.2:
                ax.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center", fontsize=8,
                        bbox={"color": "white", "pad": 0.8})  # fmt: skip
            left += share
        ax.plot([whole] * 2, [row - 0.45, row + 0.45], color="black", linewidth=2.5)
        shares = ", ".join(f"{share:.0%}" for share in result.kept)
        told = marked("{part}: {kept:.2f} ({shares}), whole drafter {whole:.2f}")
        rows.append(tr(told, part=result.part, kept=result.mean_kept, shares=shares, whole=whole))
    style.in_rows(ax, (result.part for result in results), f"drafts kept of {longest}, on average")
    ax.set_xlim(0, longest)
    shown = ax.patches[: len(results[0].kept)]
    words = [*(f"draft {i + 1}" for i in range(len(shown))), "whole drafter, same places"]
    ax.legend([*shown, ax.lines[0]], words, frameon=False, ncols=3,
              loc="lower left", bbox_to_anchor=(0, 1))  # fmt: skip
    alt = tr(
        "Bars of the mean number of drafts kept with one thing changed, in brackets the share of "
        "the first, second and further drafts. {rows}.",
        rows="; ".join(rows),
    )
    return style.tidy(ax, alt)


def plot_clusters(ranks: Sequence[int], drafter_config: Any) -> Axes:
    """Draw how many of the target's tokens a head could find, by the number of clusters searched.

    `ranks` holds the rank of the right cluster at each position.
    """
    ax = style.axes()
    total, top_k = drafter_config.num_centroids, drafter_config.centroid_intermediate_top_k
    sizes = range(1, total + 1)
    found = [sum(rank < size for rank in ranks) / max(1, len(ranks)) for size in sizes]
    ax.plot(sizes, found, color=BLUE, label="target's tokens that are searched")
    ax.plot(sizes, [k / total for k in sizes], "--", color=RED, label="share of the vocabulary")
    ax.axvline(top_k, color="black", linestyle=":", label=f"this head: {top_k}")
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="clusters searched", ylabel="share", ylim=(0, 1.05))
    points = (
        tr("{count} clusters {share:.0%}", count=k, share=found[k - 1])
        for k in sorted({1, 2, 4, top_k})
        if k <= total
    )
    alt = tr(
        "Line chart by the number of clusters searched of {total}: the share of the target's "
        "tokens that are in them ({points}), above the share of the vocabulary, which is "
        "{share:.1%} for this head's {top_k} clusters.",
        total=total,
        points=", ".join(points),
        share=top_k / total,
        top_k=top_k,
    )
    return style.tidy(ax, alt, "beside")
