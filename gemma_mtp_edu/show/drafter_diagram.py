"""The diagram of a draft step, drawn from a pair's configurations alone, and the same in words.

Colours are the Okabe-Ito palette's; each box says in words what it is.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from gemma_mtp_edu.analysis.inside import head_work
from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.show.style import LINES

_BLUE, _RED, _GREEN, _PINK, _, _BLACK = (color for color, _, _ in LINES)
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
        _, ax = plt.subplots(figsize=(8.3, 6), layout="constrained")
    target, drafter = target_config.get_text_config(), drafter_config.get_text_config()
    wide, narrow = target.hidden_size, drafter.hidden_size
    _frame(ax, _TARGET, f"target: {target.num_hidden_layers} layers, hidden size {wide:,}")
    _frame(ax, _OWN, f"drafter: {drafter.num_hidden_layers} layers, hidden size {narrow:,}")
    _draw_target(ax, target)
    in_shape = f"{2 * wide:,} to {narrow:,}"
    _box(ax, _OWN, 0.3, 0.75, f"embedding | hidden state\n{wide:,} + {wide:,}", _BLUE)
    _box(ax, _OWN, 1.5, 0.55, f"projection in: {in_shape}", _BLACK)
    top = _draw_layers(ax, target, drafter)
    _box(ax, _LEFT, 5.85, 1.3, _head_words(drafter_config), _PINK)
    _box(ax, _LEFT, 7.65, 0.5, "draft", _PINK)
    out = f"projection out:\n{narrow:,} to {wide:,}\nstate for the\nnext step"
    _box(ax, _RIGHT, 5.85, 1.3, out, _BLACK)
    for x, low, high in ((7.5, 1.05, 1.5), (6.5, top, 5.85), (8.6, top, 5.85), (6.5, 7.15, 7.65)):
        _up(ax, x, low, high)
    _arrow(ax, (3.47, 0.67), (5.53, 0.67), _BLUE)
    _arrow(ax, (3.47, 7.5), (5.53, 0.98), _BLUE)
    # Both parts of the next step's input come back to where it begins.
    _back(ax, (9.47, 6.5), 9.95, 0.85, "hidden state of the next step")
    _back(ax, (7.47, 7.9), 10.5, 0.5, "draft: newest token of the next step")
    ax.text(0.2, -0.25, _CONSTANT, va="top", fontsize=9)
    ax.set(xlim=(0, 10.9), ylim=(-0.6, 9.3))
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
        "{narrow:,} back to {wide:,} gives the hidden state for the next step, which begins with "
        "that state and with the draft as its newest token. {constant}",
        depth=target.num_hidden_layers,
        wide=wide,
        joined=2 * wide,
        narrow=narrow,
        layers=layers,
        given=given,
        head=_head_words(drafter_config).replace("\n", " "),
        constant=tr(_CONSTANT),
    )


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


def _draw_layers(ax: Axes, target: Any, drafter: Any) -> float:
    """Draw the drafter's layers, from the projection in upwards; return where the last one ends."""
    rows = _runs(drafter.layer_types)
    height, below = 2.9 / len(rows), 2.05
    for index, (kind, count) in enumerate(rows):
        layer = drafter.per_layer_config[drafter.layer_types.index(kind)]
        words = f"{count} {_short(kind)} layer{'s' * (count > 1)}"
        queries = f"queries: {drafter.num_attention_heads} heads x {layer.head_dim}"
        low = 2.55 + index * height
        _box(ax, _OWN, low, height - 0.45, f"{words}\n{queries}", _GREEN)
        _up(ax, 7.5, below, low)
        row = list(kv_layers(target)).index(kind)
        _arrow(ax, (3.47, _kv_height(row) + 0.45), (5.53, low + 0.35), _RED)
        below = low + height - 0.45
    return below


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


def _up(ax: Axes, x: float, low: float, high: float) -> None:
    _arrow(ax, (x, low + 0.03), (x, high - 0.03), _BLACK)


def _back(ax: Axes, start: tuple[float, float], x: float, end: float, words: str) -> None:
    """Lead a dashed line from a box to the right, down at `x`, and back to the input at `end`."""
    ax.plot([start[0], x, x], [start[1], start[1], end], "--", color=_BLACK, linewidth=1.2)
    _arrow(ax, (x, end), (9.47, end), _BLACK)
    ax.text(x + 0.08, 3.6, words, rotation=90, va="center", fontsize=9)
