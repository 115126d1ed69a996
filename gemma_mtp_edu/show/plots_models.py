"""Figures of the two models: their layers, and the diagram of a draft step."""

from itertools import groupby
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from gemma_mtp_edu.analysis.anatomy import head_work, layers
from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import BLACK, BLUE, GREEN, GREY, PINK, RED, hollow

if TYPE_CHECKING:
    from gemma_mtp_edu.models.pairs import ModelPair

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
    for y, row in enumerate((target, drafter)):
        for layer in row:
            height = 0.8 if layer.attention == "full" else 0.45
            ax.bar(layer.index, height, 0.8, y - height / 2, **hollow(*KV_STYLES[layer.kv][:2]))
    ax.set_yticks((0, 1), (f"target\n{len(target)} layers", f"drafter\n{len(drafter)} layers"))
    ax.set(
        xlabel="number of the layer (tall: full attention, low: sliding window)",
        xticks=range(0, longest, 5), xlim=(-0.8, longest), ylim=(1.6, -0.6),
    )  # fmt: skip
    used = dict.fromkeys(layer.kv for layer in (*target, *drafter))
    styles = [KV_STYLES[kv] for kv in used]
    handles = [
        Patch(facecolor="white", edgecolor=color, hatch=hatch, label=words)
        for color, hatch, words in styles
    ]
    ax.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, frameon=False,
        title="keys and values: the layer ...",
    )  # fmt: skip
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
    # The drafter's layers upwards, neighbours of one kind in a box.
    own = [(kind, len(list(same))) for kind, same in groupby(drafter.layer_types)]
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


def _head_words(config: Any) -> str:
    vocabulary, clusters = config.get_text_config().vocab_size, config.num_centroids
    if head_work(config) is None:
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
