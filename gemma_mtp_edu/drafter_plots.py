"""Figures of the drafter's inside, each with a description made from the same data.

Colours are the Okabe-Ito palette's. What a colour says, words, hatches or line styles say too.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from gemma_mtp_edu.ablation import AblationResult
from gemma_mtp_edu.compatibility import kv_layers
from gemma_mtp_edu.inside import DraftStep, head_work
from gemma_mtp_edu.language import marked, tr
from gemma_mtp_edu.plot_style import LINES, axes, tidy
from gemma_mtp_edu.views import visible

_BLUE, _RED, _GREEN, _PINK, _SKY, _BLACK = (color for color, _, _ in LINES)
_HATCHES = ("", "///", "...", "xx", "\\\\\\", "++")
_TARGET, _OWN = (0.2, 3.5), (5.3, 4.4)  # left edge and width of the diagram's columns
_LEFT, _RIGHT = (5.3, 2.4), (7.4, 2.3)  # and of the two halves of the drafter's
_CONSTANT = marked(
    "All steps of a round use one position, the newest token's, and the same keys and values."
)


def plot_drafter(target_config: Any, drafter_config: Any, *, ax: Axes | None = None) -> Axes:
    """Draw how a draft step runs through a pair, with its real shapes.

    Args:
        target_config: The target's configuration; no weights are needed.
        drafter_config: The drafter's.
        ax: Where to draw.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(8, 6), layout="constrained")
    target, drafter = target_config.get_text_config(), drafter_config.get_text_config()
    wide, narrow = target.hidden_size, drafter.hidden_size
    _frame(ax, _TARGET, f"target: {target.num_hidden_layers} layers, hidden size {wide:,}")
    _frame(ax, _OWN, f"drafter: {drafter.num_hidden_layers} layers, hidden size {narrow:,}")
    _draw_target(ax, target)
    in_shape = f"{2 * wide:,} to {narrow:,}"
    _box(ax, _OWN, 0.3, 0.75, f"embedding | hidden state\n{wide:,} + {wide:,}", _BLUE)
    _box(ax, _OWN, 1.5, 0.55, f"projection in: {in_shape}", _BLACK)
    rows = _runs(drafter.layer_types)
    height = 2.9 / len(rows)
    for index, (kind, count) in enumerate(rows):
        layer = drafter.per_layer_config[drafter.layer_types.index(kind)]
        words = f"{count} {_short(kind)} layer{'s' * (count > 1)}"
        queries = f"queries: {drafter.num_attention_heads} heads x {layer.head_dim}"
        _box(ax, _OWN, 2.55 + index * height, height - 0.35, f"{words}\n{queries}", _GREEN)
        row = list(kv_layers(target)).index(kind)
        _arrow(ax, (3.47, _kv_height(row) + 0.45), (5.53, 2.55 + index * height + 0.35), _RED)
    _box(ax, _LEFT, 5.85, 1.3, _head_words(drafter_config), _PINK)
    _box(ax, _LEFT, 7.65, 0.5, "draft", _PINK)
    out = f"projection out:\n{narrow:,} to {wide:,}\nstate for the\nnext step"
    _box(ax, _RIGHT, 5.85, 1.3, out, _BLACK)
    for x, low, high in ((7.5, 1.05, 1.5), (7.5, 2.05, 2.55), (6.5, 5.1, 5.85), (8.6, 5.1, 5.85),
                         (6.5, 7.15, 7.65)):  # fmt: skip
        _arrow(ax, (x, low + 0.03), (x, high - 0.03), _BLACK)
    _arrow(ax, (3.47, 0.67), (5.53, 0.67), _BLUE)
    _arrow(ax, (3.47, 7.5), (5.53, 0.98), _BLUE)
    # From the projection out back to where the next step begins.
    ax.plot([9.47, 9.95, 9.95], [6.5, 6.5, 0.67], "--", color=_BLACK, linewidth=1.2)
    _arrow(ax, (9.95, 0.67), (9.47, 0.67), _BLACK)
    ax.text(10.05, 3.6, "hidden state of the next step", rotation=90, va="center", fontsize=9)
    ax.text(0.2, -0.25, _CONSTANT, va="top", fontsize=9)
    ax.set(xlim=(0, 10.4), ylim=(-0.6, 9.3))
    ax.axis("off")
    return ax


def describe_drafter(target_config: Any, drafter_config: Any) -> str:
    """Return in words what `plot_drafter` draws."""
    target, drafter = target_config.get_text_config(), drafter_config.get_text_config()
    wide, narrow = target.hidden_size, drafter.hidden_size
    given = tr(" and ").join(
        tr("layer {layer} ({kind})", layer=layer, kind=_short(kind))
        for kind, layer in kv_layers(target).items()
    )
    layers = ", ".join(f"{count} {_short(kind)}" for kind, count in _runs(drafter.layer_types))
    return tr(
        "Diagram of a draft step. The target has {depth} layers and hidden size {wide:,}. Its "
        "embedding of the newest token and its last hidden state, {wide:,} numbers each, enter the "
        "drafter and are projected from {joined:,} to {narrow:,}. The drafter's layers ({layers}) "
        "read keys and values of the target's {given}. The head: {head}. A projection from "
        "{narrow:,} back to {wide:,} gives the hidden state for the next step. {constant}",
        depth=target.num_hidden_layers,
        wide=wide,
        joined=2 * wide,
        narrow=narrow,
        layers=layers,
        given=given,
        head=_head_words(drafter_config).replace("\n", " "),
        constant=tr(_CONSTANT),
    )


def plot_attention(
    step: DraftStep, names: Sequence[str], *, count: int = 40, ax: Axes | None = None
) -> Axes:
    """Draw where each head of a draft step looks, over the last tokens of the text.

    Args:
        step: One step.
        names: The text's tokens, of which those before the newest one are drawn.
        count: How many of them.
        ax: Where to draw.
    """
    ax = ax or axes(4.2)
    start = max(0, step.position - count)
    rows: list[list[float]] = []
    labels, places = [], []
    for index, layer in enumerate(step.layers):
        labels.append(f"layer {index}\n{layer.attention}")
        places.append(len(rows) + (len(layer.weights) - 1) / 2)
        for head in layer.weights.tolist():
            seen = dict(enumerate(head, start=layer.first))
            rows.append([seen.get(at, 0.0) for at in range(start, step.position)])
        if index:
            ax.axhline(len(rows) - len(layer.weights) - 0.5, color="black", linewidth=0.8)
    picture = ax.imshow(rows, cmap="Blues", vmin=0, aspect="auto", interpolation="nearest")
    ax.set_yticks(places, labels)
    shown = [visible(name) for name in names[start : step.position]]
    ax.set_xticks(range(len(shown)), shown, rotation=90, family="monospace", fontsize=8)
    ax.tick_params(length=0)
    ax.set(xlabel="token of the text (the newest one, which asks, comes next)",
           ylabel="a row for each head")  # fmt: skip
    ax.figure.colorbar(picture, ax=ax, label="share of the head's attention", pad=0.01)
    return ax


def describe_attention(step: DraftStep, names: Sequence[str]) -> str:
    """Return in words what `plot_attention` draws."""
    parts = []
    for index, layer in enumerate(step.layers):
        mean = layer.weights.float().mean(0)
        at = int(mean.argmax())
        back = step.position - layer.first - at
        parts.append(
            tr(
                "layer {index} ({kind}) {share:.0%} to {token!r}, {back} back",
                index=index,
                kind=layer.attention,
                share=float(mean[at]),
                token=visible(names[layer.first + at]),
                back=back,
            )
        )
    return tr(
        "Heat map of a draft step's attention over the tokens before {newest!r}, a row for each "
        "head. The token that gets most on average over a layer's heads: {parts}.",
        newest=visible(names[step.position]),
        parts="; ".join(parts),
    )


def plot_ablations(results: Sequence[AblationResult], *, ax: Axes | None = None) -> Axes:
    """Draw for each change how many drafts of a chain are kept, by draft; a mark for the whole."""
    ax = ax or axes(0.42 * len(results) + 1.4)
    for row, result in enumerate(results):
        left = 0.0
        styles = zip(result.kept, LINES, _HATCHES, strict=False)
        for number, (share, (color, _, _), hatch) in enumerate(styles, start=1):
            ax.barh(row, share, 0.68, left=left, color="white", edgecolor=color, hatch=hatch,
                    linewidth=1.5, label=f"draft {number}" if row == 0 else None)  # fmt: skip
            if share > 0.2:
                ax.text(left + share / 2, row, f"{share:.0%}", ha="center", va="center", fontsize=8,
                        bbox={"color": "white", "pad": 0.8})  # fmt: skip
            left += share
        ax.plot([sum(result.as_is)] * 2, [row - 0.45, row + 0.45], color="black", linewidth=2.5,
                label="whole drafter, same places" if row == 0 else None)  # fmt: skip
    ax.set_yticks(range(len(results)), [result.part for result in results])
    longest = max(len(result.kept) for result in results)
    ax.set(xlabel=f"drafts kept of {longest}, on average", xlim=(0, longest))
    ax.invert_yaxis()
    lines, words = ax.get_legend_handles_labels()
    drafts_first = sorted(range(len(words)), key=lambda at: not words[at].startswith("draft"))
    ax.legend([lines[at] for at in drafts_first], [words[at] for at in drafts_first],
              frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))  # fmt: skip
    return tidy(ax)


def describe_ablations(results: Sequence[AblationResult]) -> str:
    """Return in words what `plot_ablations` draws."""
    rows = (
        tr(
            "{part}: {kept:.2f} ({shares}), whole drafter {whole:.2f}",
            part=r.part,
            kept=r.mean_kept,
            shares=", ".join(f"{share:.0%}" for share in r.kept),
            whole=sum(r.as_is),
        )
        for r in results
    )
    return tr(
        "Bars of the mean number of drafts kept with one thing changed, in brackets the share of "
        "the first, second and further drafts. {rows}.",
        rows="; ".join(rows),
    )


def plot_clusters(ranks: Sequence[int], drafter_config: Any, *, ax: Axes | None = None) -> Axes:
    """Draw how many of the target's tokens a head could find, by the number of clusters searched.

    Args:
        ranks: Rank of the right cluster at each place.
        drafter_config: The drafter's configuration.
        ax: Where to draw.
    """
    ax = ax or axes()
    total, top_k = drafter_config.num_centroids, drafter_config.centroid_intermediate_top_k
    sizes = range(1, total + 1)
    ax.plot(sizes, [_found(ranks, k) for k in sizes], color=_BLUE,
            label="target's tokens that are searched")  # fmt: skip
    ax.plot(sizes, [k / total for k in sizes], "--", color=_RED, label="share of the vocabulary")
    ax.axvline(top_k, color="black", linestyle=":", label=f"this head: {top_k}")
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set(xlabel="clusters searched", ylabel="share", ylim=(0, 1.05))
    return tidy(ax, legend="beside")


def describe_clusters(ranks: Sequence[int], drafter_config: Any) -> str:
    """Return in words what `plot_clusters` draws."""
    total, top_k = drafter_config.num_centroids, drafter_config.centroid_intermediate_top_k
    points = ", ".join(
        tr("{count} clusters {share:.0%}", count=k, share=_found(ranks, k))
        for k in sorted({1, 2, 4, top_k})
        if k <= total
    )
    return tr(
        "Line chart by the number of clusters searched of {total}: the share of the target's "
        "tokens that are in them ({points}), above the share of the vocabulary, which is "
        "{share:.1%} for this head's {top_k} clusters.",
        total=total,
        points=points,
        share=top_k / total,
        top_k=top_k,
    )


def _found(ranks: Sequence[int], searched: int) -> float:
    return sum(rank < searched for rank in ranks) / max(1, len(ranks))


def _draw_target(ax: Axes, target: Any) -> None:
    wide = target.hidden_size
    _box(ax, _TARGET, 0.3, 0.75, f"embedding of the newest token\n{wide:,}", _BLUE)
    for row, (kind, layer) in enumerate(kv_layers(target).items()):
        each = target.per_layer_config[layer]
        _box(ax, _TARGET, _kv_height(row), 0.95, (
            f"layer {layer}, {_short(kind)}: keys, values\n"
            f"{each.num_key_value_heads} x tokens x {each.head_dim}"
            + (f", last {target.sliding_window}" if kind.startswith("sliding") else "")
            ), _RED)  # fmt: skip
    _box(ax, _TARGET, 7.35, 0.75, f"last hidden state\n{wide:,}", _BLUE)


def _kv_height(row: int) -> float:
    return 4.3 - 1.75 * row


def _runs(kinds: Sequence[str]) -> list[tuple[str, int]]:
    """Return neighbours of one kind together.

    >>> _runs(["a", "a", "b"])
    [('a', 2), ('b', 1)]
    """
    runs: list[tuple[str, int]] = []
    for kind in kinds:
        if runs and runs[-1][0] == kind:
            runs[-1] = (kind, runs[-1][1] + 1)
        else:
            runs.append((kind, 1))
    return runs


def _head_words(config: Any) -> str:
    vocabulary, work = config.get_text_config().vocab_size, head_work(config)
    if work is None:
        return f"dense head:\nall {vocabulary:,}\ntokens scored"
    scored = config.centroid_intermediate_top_k * (vocabulary // config.num_centroids)
    return (
        f"best {config.centroid_intermediate_top_k} of\n{config.num_centroids:,} clusters:\n"
        f"{scored:,} of {vocabulary:,}\ntokens scored"
    )


def _short(kind: str) -> str:
    return kind.removesuffix("_attention")


def _frame(ax: Axes, column: tuple[float, float], title: str) -> None:
    left, width = column
    ax.add_patch(Rectangle((left, 0), width, 8.75, fill=False, edgecolor="#767676", linewidth=1))
    ax.text(left + width / 2, 8.95, title, ha="center", va="bottom", fontsize=9, weight="bold")


def _box(ax: Axes, column: tuple[float, float], y: float, height: float, words: str,
         color: str) -> None:  # fmt: skip
    left, width = column
    ax.add_patch(FancyBboxPatch((left + 0.25, y), width - 0.5, height, facecolor="white",
                 boxstyle="round,pad=0.02", edgecolor=color, linewidth=1.8))  # fmt: skip
    ax.text(left + width / 2, y + height / 2, words, ha="center", va="center", fontsize=9)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": color, "linewidth": 1.4})
