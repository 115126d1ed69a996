"""Figures of the two models' layers, of a draft step, and of what happens inside the drafter."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.patches import FancyBboxPatch, Rectangle

from gemma_mtp_edu.analysis.inside import layers
from gemma_mtp_edu.lessons.language import marked, sentences, tr
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import BLACK, BLUE, GREEN, GREY, PINK, RED, listed
from gemma_mtp_edu.show.views import visible

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.ablation import AblationResult
    from gemma_mtp_edu.models.pairs import ModelPair

# Where a layer's keys and values come from: edge colour, hatch and words.
KV_STYLES = {
    "own": (BLUE, "", marked("own keys and values")),
    "handed over": (RED, "xx", marked("own ones that the drafter reads too")),
    "shared": (GREY, "...", marked("those of an earlier layer")),
    "target": (GREEN, "///", marked("those of the target")),
}
# Left edge and width of the diagram's columns, and of the two halves of the drafter's.
_TARGET, _OWN, _LEFT, _RIGHT = (0.2, 3.5), (5.3, 4.4), (5.3, 2.4), (7.4, 2.3)
_CONSTANT = marked(
    "All steps of a round use one position, the newest token's, and the same keys and values."
)
_STATE = "the target's embedding of the newest token, and\nits hidden state after the final RMSNorm"


def plot_layers(pair: "ModelPair") -> Axes:
    """Draw both models layer by layer: attention type, and where keys and values come from."""
    models = dict(zip((marked("target"), marked("drafter")), layers(pair), strict=True))
    longest = max(map(len, models.values()))
    ax = style.axes(4.2, max(6.0, 0.25 * longest))
    for kv, (color, hatch, words) in KV_STYLES.items():
        for y, row in zip((0, 1.4), models.values(), strict=True):
            for layer in (layer for layer in row if layer.kv == kv):
                height = 0.8 if layer.attention == "full" else 0.45
                ax.bar(layer.index, height, 0.8, y - height / 2, label=words,
                       **style.hollow(color, hatch))  # fmt: skip
                words = "_"  # one entry of the legend for all bars of a kind
    own, given = models["drafter"], kv_layers(pair.target.config).items()
    first = {f"{layer.attention}_attention": layer.index for layer in own[::-1]}
    leads = [((layer, 0.42), (first[kind], 1.0), RED) for kind, layer in given if kind in first]
    leads += [((longest - 1, 0.42), (longest - 3, 1.2), BLUE), ((14, 1.4), (len(own), 1.4), BLUE)]
    for start, to, color in leads:
        ax.annotate("", to, start, arrowprops={"arrowstyle": "->", "color": color, "lw": 1.6})
    ax.text(longest - 1, 1.4, _STATE, ha="right", va="center", fontsize=9)
    ax.set_yticks((0, 1.4), [f"{name}\n{len(row)} layers" for name, row in models.items()])
    ax.set(xlabel="number of the layer (tall: full attention, low: sliding window)",
           title="The drafter reads two layers' keys and values, and the target's last state",
           xticks=range(0, longest, 5), xlim=(-0.8, longest), ylim=(1.9, -0.5))  # fmt: skip
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)
    counts = {}
    for name, row in models.items():
        counts[name] = Counter(KV_STYLES[layer.kv][2] for layer in row)
        counts[name][marked("full attention")] = sum(layer.attention == "full" for layer in row)
    alt = tr("Bars of the layers of both models, tall ones for full attention.")
    return style.tidy(ax, alt, listed(counts, marked("{value} with {place}")))


def plot_drafter(target_config: Any, drafter_config: Any) -> Axes:
    """Draw how a draft step runs through a pair, with its real shapes; no weights are needed."""
    ax, vocabulary = style.axes(6, 8.3), drafter_config.get_text_config().vocab_size
    target, drafter = target_config.get_text_config(), drafter_config.get_text_config()
    wide, narrow, clusters = target.hidden_size, drafter.hidden_size, drafter_config.num_centroids
    head = f"dense head:\nall {vocabulary:,}\ntokens scored"
    if drafter_config.use_ordered_embeddings:
        best = drafter_config.centroid_intermediate_top_k
        scored = f"{best * (vocabulary // clusters):,} of {vocabulary:,}\ntokens scored"
        head = f"best {best} of\n{clusters:,} clusters:\n{scored}"
    for (left, width), name, config in ((_TARGET, "target", target), (_OWN, "drafter", drafter)):
        title = f"{name}: {config.num_hidden_layers} layers, hidden size {config.hidden_size:,}"
        ax.add_patch(Rectangle((left, 0), width, 8.75, fill=False, edgecolor="#767676"))
        ax.text(left + width / 2, 8.95, title, ha="center", va="bottom", fontsize=9, weight="bold")
    out = f"projection out:\n{narrow:,} to {wide:,}\nstate for the\nnext step"
    boxes = [
        (_TARGET, 0.3, 0.75, f"embedding of the newest token\n{wide:,}", BLUE),
        (_TARGET, 7.35, 0.75, f"hidden state after the\nfinal RMSNorm: {wide:,}", BLUE),
        (_OWN, 0.3, 0.75, f"embedding | hidden state\n{wide:,} + {wide:,}", BLUE),
        (_OWN, 1.5, 0.55, f"projection in: {2 * wide:,} to {narrow:,}", BLACK),
        (_LEFT, 5.85, 1.3, head, PINK),
        (_LEFT, 7.65, 0.5, "draft", PINK),
        (_RIGHT, 5.85, 1.3, out, BLACK),
    ]
    arrows = [((3.47, 0.85), (5.53, 0.85), BLUE), ((4.5, 0.5), (5.53, 0.5), BLUE)]
    # The state's way leads round the target: no arrow crosses another one.
    ax.plot([0.43, 0, 0, 4.5, 4.5], [7.7, 7.7, -0.25, -0.25, 0.5], color=BLUE, linewidth=1.4)
    given, heights = [], {}
    for row, (kind, layer) in enumerate(kv_layers(target).items()):
        heights[kind], each = 4.3 - 1.75 * row, target.per_layer_config[layer]
        window = f", last {target.sliding_window}" if kind.startswith("sliding") else ""
        shape = f"{each.num_key_value_heads} x tokens x {each.head_dim}{window}"
        words = f"layer {layer}, {kind.split('_')[0]}: keys, values\n{shape}"
        boxes.append((_TARGET, heights[kind], 0.95, words, RED))
        given.append(tr("layer {layer} ({kind})", layer=layer, kind=kind.split("_")[0]))
    # Neighbours of one kind in a box, from the projection in upwards.
    own, top = [(kind, len(list(same))) for kind, same in groupby(drafter.layer_types)], 2.05
    space = 2.9 / len(own)
    for index, (kind, count) in enumerate(own):
        head_dim = drafter.per_layer_config[drafter.layer_types.index(kind)].head_dim
        words = f"{count} {kind.split('_')[0]} layer{'s' * (count > 1)}\n"
        words += f"queries: {drafter.num_attention_heads} heads x {head_dim}"
        low = 2.55 + index * space
        boxes.append((_OWN, low, space - 0.45, words, GREEN))
        arrows += [((7.5, top + 0.03), (7.5, low - 0.03), BLACK),
                   ((3.47, heights[kind] + 0.45), (5.53, low + 0.35), RED)]  # fmt: skip
        top = low + space - 0.45
    for x, low, high in ((7.5, 1.05, 1.5), (6.5, top, 5.85), (8.6, top, 5.85), (6.5, 7.15, 7.65)):
        arrows.append(((x, low + 0.03), (x, high - 0.03), BLACK))
    # Both parts of the next step's input come back to where it begins: right, down, left.
    for x, y, right, end, words in (
        (9.47, 6.5, 9.95, 0.85, "hidden state of the next step"),
        (7.47, 7.9, 10.5, 0.5, "draft: newest token of the next step"),
    ):
        ax.plot([x, right, right], [y, y, end], "--", color=BLACK, linewidth=1.2)
        arrows.append(((right, end), (9.47, end), BLACK))
        ax.text(right + 0.08, 3.6, words, rotation=90, va="center", fontsize=9)
    for (left, width), y, height, words, color in boxes:
        ax.add_patch(FancyBboxPatch((left + 0.25, y), width - 0.5, height, facecolor="white",
                     boxstyle="round,pad=0.02", edgecolor=color, linewidth=1.8))  # fmt: skip
        ax.text(left + width / 2, y + height / 2, words, ha="center", va="center", fontsize=9)
    for start, to, color in arrows:
        ax.annotate("", to, start, arrowprops={"arrowstyle": "->", "color": color, "lw": 1.4})
    ax.text(0.2, -0.5, _CONSTANT, va="top", fontsize=9)
    ax.set(xlim=(-0.05, 10.9), ylim=(-0.85, 9.3))
    ax.axis("off")
    ax.set_title(f"A draft step reads {2 * wide:,} numbers and KV of 2 target layers")
    alt = tr("Diagram of a draft step. The target's embedding of the newest token and its hidden "
             "state after the final RMSNorm, {wide:,} numbers each, are joined and projected to "
             "{narrow:,}. The drafter's layers ({layers}) read keys and values of the target's "
             "{given}. The head: {head}. A projection back to {wide:,} gives the next step's "
             "hidden state; its newest token is the draft.",
             wide=wide, narrow=narrow, head=head.replace("\n", " "),
             layers=", ".join(f"{count} {kind.split('_')[0]}" for kind, count in own),
             given=tr(" and ").join(given))  # fmt: skip
    return style.tidy(ax, sentences(alt, tr(_CONSTANT)))


def plot_attention(weights: Sequence[Any], kinds: Sequence[str], names: Sequence[str],
                   *, count: int = 24) -> Axes:  # fmt: skip
    """Draw where each head of a draft step looks, over the last `count` tokens of the text.

    What it reads of all tokens before them is summed in a first column: every row sums to 1.

    Args:
        weights: Of each layer `[heads, keys]`; the last key is that of the last name.
        kinds: The layers' attention types.
        names: The text's tokens that have keys.
        count: Tokens to draw.
    """
    ax, start = style.axes(5.2), max(0, len(names) - count)
    shown = ["earlier"] * bool(start) + [visible(name) for name in names[start:]]
    rows: list[list[float]] = []
    labels, told = list[str](), {}
    for index, (layer, kind) in enumerate(zip(weights, kinds, strict=True)):
        short = kind.removesuffix("_attention")
        heads = [[0.0] * (len(names) - len(head)) + head for head in layer.tolist()]
        shares = [[sum(head[:start])] * bool(start) + head[start:] for head in heads]
        rows += shares
        labels += [f"layer {index} {short}, head {head}" for head in range(len(heads))]
        ax.axhline(len(rows) - 0.5, color="black", linewidth=0.8)
        mean = [sum(column) / len(column) for column in zip(*shares, strict=True)]
        best = max(range(bool(start), len(mean)), key=mean.__getitem__)
        most = tr("{token!r}, {back} back", token=shown[best], back=len(mean) - best)
        earlier = {marked("earlier"): mean[0]} if start else {}
        told[tr("layer {layer} ({kind})", layer=index, kind=short)] = {most: mean[best], **earlier}
    # Shares are small where a head reads many tokens: the root of a share sets them apart.
    root = PowerNorm(0.5, vmin=0, vmax=1)
    picture = ax.imshow(rows, cmap="Blues", norm=root, aspect="auto", interpolation="nearest")
    ax.set_yticks(range(len(labels)), labels)
    ax.set_xticks(range(len(shown)), shown, rotation=60, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0, labelsize=10)
    near = sum(sum(row[bool(start) :]) for row in rows) / len(rows)
    ax.set_title(f"{near:.0%} of all attention goes to the last {len(names) - start} tokens")
    ax.set(xlabel="token of the text (· is a space); the target made its key and value")
    ax.figure.colorbar(picture, ax=ax, pad=0.01, ticks=[0, 0.05, 0.25, 0.5, 1],
                       label="share of the head's attention (root scale)")  # fmt: skip
    alt = tr("Heat map of a draft step's attention, a row for each head, over the last {count} "
             "tokens. The token that a layer's heads read most of, and the sum over earlier ones, "
             "where there are any.", count=len(names) - start)  # fmt: skip
    return style.tidy(ax, alt, listed(told, "{place} {value:.0%}"))


def plot_ablations(results: Sequence["AblationResult"]) -> Axes:
    """Draw for each change in which share of chains drafts 1, 2, ... survive, by their numbers."""
    ax, rows = style.axes(0.42 * len(results) + 1.4), {}
    for row, result in enumerate(results):
        for n, share in enumerate(result.kept, start=1):
            ax.plot([share, result.as_is[n - 1]], [row] * 2, color=style.DIVIDER, zorder=1)
            ax.text(
                share, row, str(n), ha="center", va="center", fontsize=10, color="white", zorder=3
            )
        ax.scatter(result.as_is, [row] * len(result.as_is), 150, marker="|", color=BLACK, zorder=2,
                   label="_" * bool(row) + "the whole drafter")  # fmt: skip
        ax.scatter(result.kept, [row] * len(result.kept), 190, color=BLUE, zorder=2,
                   label="_" * bool(row) + "draft of this number, with the change")  # fmt: skip
        kept = {tr("draft {n}", n=i): share for i, share in enumerate(result.kept, 1)}
        told = {marked("in all"): result.mean_kept, marked("whole drafter"): sum(result.as_is)}
        rows[result.part] = {**kept, **told}
    style.in_rows(ax, [f"{r.part}  ({r.mean_kept:.2f} kept)" for r in results])
    worst = min(results, key=lambda result: result.mean_kept)
    ax.set_title(f"Worst: {worst.part}, {worst.mean_kept:.2f} drafts kept of {len(worst.kept)}")
    ax.set(xlim=(-0.03, 1.03), xlabel="share of chains that keep the draft and all before it")
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.grid(axis="y", color=style.DIVIDER, linewidth=0.5)
    ax.legend(frameon=False, ncols=2, loc="upper right", bbox_to_anchor=(1, -0.17))
    alt = tr("Chart of the share of chains that keep each draft, with one thing changed.")
    return style.tidy(ax, alt, listed(rows))
