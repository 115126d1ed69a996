"""Figures of the two models' layers, of a draft step, and of what happens inside the drafter."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.patches import FancyBboxPatch, Rectangle

from gemma_mtp_edu.analysis.inside import layers
from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import BLACK, BLUE, GREEN, GREY, LINES, PINK, RED, hollow
from gemma_mtp_edu.show.views import visible

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.ablation import AblationResult
    from gemma_mtp_edu.analysis.inside import DraftStep, LayerView
    from gemma_mtp_edu.models.pairs import ModelPair

_HATCHES = ("", "///", "...", "xx", "\\\\\\", "++")
# Where a layer's keys and values come from: edge colour, hatch and words.
KV_STYLES = {
    "own": (BLUE, "", "makes its own"),
    "handed over": (RED, "xx", "makes its own, handed over to the drafter"),
    "shared": (GREY, "...", "reads those of an earlier layer"),
    "target": (GREEN, "///", "reads those that the target handed over"),
}
# Left edge and width of the diagram's columns, and of the two halves of the drafter's.
_TARGET, _OWN, _LEFT, _RIGHT = (0.2, 3.5), (5.3, 4.4), (5.3, 2.4), (7.4, 2.3)
_CONSTANT = marked(
    "All steps of a round use one position, the newest token's, and the same keys and values."
)


def plot_layers(pair: "ModelPair") -> Axes:
    """Draw both models layer by layer: attention type, and where keys and values come from."""
    target, drafter = layers(pair)
    longest = max(len(target), len(drafter))
    ax = style.axes(3.2, max(6.0, 0.25 * longest))
    both = [(y, layer) for y, row in enumerate((target, drafter)) for layer in row]
    for kv, (color, hatch, words) in KV_STYLES.items():
        for y, layer in (bar for bar in both if bar[1].kv == kv):
            height = 0.8 if layer.attention == "full" else 0.45
            ax.bar(layer.index, height, 0.8, y - height / 2, label=words, **hollow(color, hatch))
            words = "_"  # one entry of the legend for all bars of a kind
    ax.set_yticks((0, 1), (f"target\n{len(target)} layers", f"drafter\n{len(drafter)} layers"))
    ax.set(
        xlabel="number of the layer (tall: full attention, low: sliding window)",
        xticks=range(0, longest, 5), xlim=(-0.8, longest), ylim=(1.6, -0.6),
    )  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, frameon=False,
              title="keys and values: the layer ...")  # fmt: skip
    passed = [f"{layer.index} ({layer.attention})" for layer in target if layer.kv == "handed over"]
    alt = tr(
        "The target has {target} layers, {full} of them with full attention. The "
        "first {own} make keys and values of their own, the others share them. Layers "
        "{handed} hand theirs to the drafter, whose {drafter} layers, "
        "{drafter_full} of them with full attention, have none of their own.",
        target=len(target),
        full=sum(layer.attention == "full" for layer in target),
        own=sum(layer.kv != "shared" for layer in target),
        handed=tr(" and ").join(passed),
        drafter=len(drafter),
        drafter_full=sum(layer.attention == "full" for layer in drafter),
    )
    return style.tidy(ax, alt)


def plot_drafter(target_config: Any, drafter_config: Any) -> Axes:
    """Draw how a draft step runs through a pair, with its real shapes; no weights are needed."""
    ax = style.axes(6, 8.3)
    target, drafter = target_config.get_text_config(), drafter_config.get_text_config()
    wide, narrow, head = target.hidden_size, drafter.hidden_size, _head_words(drafter_config)
    for (left, width), title in (
        (_TARGET, f"target: {target.num_hidden_layers} layers, hidden size {wide:,}"),
        (_OWN, f"drafter: {drafter.num_hidden_layers} layers, hidden size {narrow:,}"),
    ):
        ax.add_patch(Rectangle((left, 0), width, 8.75, fill=False, edgecolor="#767676"))
        ax.text(left + width / 2, 8.95, title, ha="center", va="bottom", fontsize=9, weight="bold")
    _box(ax, _TARGET, 0.3, 0.75, f"embedding of the newest token\n{wide:,}", BLUE)
    given, heights = [], {}
    for row, (kind, layer) in enumerate(kv_layers(target).items()):
        heights[kind], each = 4.3 - 1.75 * row, target.per_layer_config[layer]
        window = f", last {target.sliding_window}" if kind.startswith("sliding") else ""
        words = f"layer {layer}, {_short(kind)}: keys, values\n"
        shape = f"{each.num_key_value_heads} x tokens x {each.head_dim}{window}"
        _box(ax, _TARGET, heights[kind], 0.95, words + shape, RED)
        given.append(tr("layer {layer} ({kind})", layer=layer, kind=_short(kind)))
    _box(ax, _TARGET, 7.35, 0.75, f"last hidden state\n{wide:,}", BLUE)
    _box(ax, _OWN, 0.3, 0.75, f"embedding | hidden state\n{wide:,} + {wide:,}", BLUE)
    _box(ax, _OWN, 1.5, 0.55, f"projection in: {2 * wide:,} to {narrow:,}", BLACK)
    # Neighbours of one kind in a box.
    own = [(kind, len(list(same))) for kind, same in groupby(drafter.layer_types)]
    top = _draw_own_layers(ax, drafter, own, heights)
    _box(ax, _LEFT, 5.85, 1.3, head, PINK)
    _box(ax, _LEFT, 7.65, 0.5, "draft", PINK)
    out = f"projection out:\n{narrow:,} to {wide:,}\nstate for the\nnext step"
    _box(ax, _RIGHT, 5.85, 1.3, out, BLACK)
    for x, low, high in ((7.5, 1.05, 1.5), (6.5, top, 5.85), (8.6, top, 5.85), (6.5, 7.15, 7.65)):
        _arrow(ax, (x, low + 0.03), (x, high - 0.03))
    _arrow(ax, (3.47, 0.67), (5.53, 0.67), BLUE)
    _arrow(ax, (3.47, 7.5), (5.53, 0.98), BLUE)
    # Both parts of the next step's input come back to where it begins: right, down, left.
    for x, y, right, end, words in (
        (9.47, 6.5, 9.95, 0.85, "hidden state of the next step"),
        (7.47, 7.9, 10.5, 0.5, "draft: newest token of the next step"),
    ):
        ax.plot([x, right, right], [y, y, end], "--", color=BLACK, linewidth=1.2)
        _arrow(ax, (right, end), (9.47, end))
        ax.text(right + 0.08, 3.6, words, rotation=90, va="center", fontsize=9)
    ax.text(0.2, -0.25, _CONSTANT, va="top", fontsize=9)
    ax.set(xlim=(0, 10.9), ylim=(-0.6, 9.3))
    ax.axis("off")
    alt = tr(
        "Diagram of a draft step. The target has {depth} layers and hidden size {wide:,}. Its "
        "embedding of the newest token and its last hidden state, {wide:,} numbers each, enter the "
        "drafter and are projected from {joined:,} to {narrow:,}. The drafter's layers ({layers}) "
        "read keys and values of the target's {given}. The head: {head}. A projection from "
        "{narrow:,} back to {wide:,} gives the hidden state for the next step, which begins with "
        "that state and with the draft as its newest token. {constant}",
        depth=target.num_hidden_layers,
        wide=wide,
        joined=2 * wide,
        narrow=narrow,
        layers=", ".join(f"{count} {_short(kind)}" for kind, count in own),
        given=tr(" and ").join(given),
        head=head.replace("\n", " "),
        constant=tr(_CONSTANT),
    )
    return style.told(ax, alt)


def _draw_own_layers(
    ax: Axes, drafter: Any, own: Sequence[tuple[str, int]], heights: dict[str, float]
) -> float:
    """Draw the drafter's layers, from the projection in upwards; return where the last one ends."""
    height, top = 2.9 / len(own), 2.05
    for index, (kind, count) in enumerate(own):
        layer = drafter.per_layer_config[drafter.layer_types.index(kind)]
        words = f"{count} {_short(kind)} layer{'s' * (count > 1)}"
        queries = f"queries: {drafter.num_attention_heads} heads x {layer.head_dim}"
        low = 2.55 + index * height
        _box(ax, _OWN, low, height - 0.45, f"{words}\n{queries}", GREEN)
        _arrow(ax, (7.5, top + 0.03), (7.5, low - 0.03))
        _arrow(ax, (3.47, heights[kind] + 0.45), (5.53, low + 0.35), RED)
        top = low + height - 0.45
    return top


def _head_words(config: Any) -> str:
    vocabulary, clusters = config.get_text_config().vocab_size, config.num_centroids
    if not config.use_ordered_embeddings:
        return f"dense head:\nall {vocabulary:,}\ntokens scored"
    best = config.centroid_intermediate_top_k
    scored = f"{best * (vocabulary // clusters):,} of {vocabulary:,}\ntokens scored"
    return f"best {best} of\n{clusters:,} clusters:\n{scored}"


def _short(kind: str) -> str:
    return kind.removesuffix("_attention")


def _box(ax: Axes, column: tuple[float, float], y: float, height: float, words: str,
         color: str) -> None:  # fmt: skip
    left, width = column
    ax.add_patch(FancyBboxPatch((left + 0.25, y), width - 0.5, height, facecolor="white",
                 boxstyle="round,pad=0.02", edgecolor=color, linewidth=1.8))  # fmt: skip
    ax.text(left + width / 2, y + height / 2, words, ha="center", va="center", fontsize=9)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float],
           color: str = BLACK) -> None:  # fmt: skip
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": color, "linewidth": 1.4})


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
