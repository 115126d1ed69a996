"""Figures of traces and measurements, each with a description made from the same data.

Colours are the Okabe-Ito palette's. What a colour says, words or hatches say too, so that a grey
print still tells it.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from gemma_mtp_edu.analysis.anatomy import LayerInfo, layers
from gemma_mtp_edu.analysis.timing import PassTimes
from gemma_mtp_edu.core.arguments import check_kind
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair
from gemma_mtp_edu.show.rounds import describe_rounds as describe_rounds
from gemma_mtp_edu.show.rounds import plot_rounds as plot_rounds
from gemma_mtp_edu.show.views import visible

# Where a layer's keys and values come from: edge colour, hatch and words.
KV_STYLES = {
    "own": ("#0072B2", "", "makes its own"),
    "handed over": ("#D55E00", "xx", "makes its own, handed over to the drafter"),
    "shared": ("#666666", "...", "reads those of an earlier layer"),
    "target": ("#009E73", "///", "reads those that the target handed over"),
}


def plot_pass_times(times: PassTimes, *, ax: Axes | None = None) -> Axes:
    """Draw the time of one target pass against its number of tokens, relative to the shortest.

    The dashed line is what as many tokens would take in passes of the shortest kind.

    Raises:
        ValueError: It is something else.
    """
    check_kind(times, PassTimes, "times", tr("what time_target_passes returns"))
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
    shortest = times.lengths[0]
    ax.plot(
        times.lengths, times.relative, "o-", color="#0072B2", label="all in one pass (measured)"
    )
    ax.plot(
        times.lengths, [n / shortest for n in times.lengths], "--", color="#D55E00",
        label="one by one" if shortest == 1 else f"in passes of {shortest}",
    )  # fmt: skip
    for length, ratio in zip(times.lengths[1:], times.relative[1:], strict=True):
        ax.annotate(
            f"{ratio:.1f}", (length, ratio), xytext=(0, 6), textcoords="offset points",
            ha="center", fontsize=9,
        )  # fmt: skip
    ax.set(
        xlabel="tokens", ylabel="times as long as the shortest pass", xticks=times.lengths,
        ylim=(0, None),
    )  # fmt: skip
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def describe_pass_times(times: PassTimes) -> str:
    """Return in words what `plot_pass_times` draws."""
    points = ", ".join(
        tr("over {n}: {ratio:.1f} times the shortest", n=n, ratio=ratio)
        for n, ratio in zip(times.lengths, times.relative, strict=True)
    )
    return tr(
        "Line chart of the time of one target pass by its number of tokens, against a dashed line "
        "of that many one-token passes: {points}. Context {context} tokens.",
        points=points,
        context=times.context_length,
    )


def plot_layers(pair: ModelPair, *, ax: Axes | None = None) -> Axes:
    """Draw both models layer by layer: attention type, and where keys and values come from.

    Raises:
        ValueError: It is no pair.
    """
    rows = dict(zip(("target", "drafter"), layers(pair), strict=True))
    longest = max(map(len, rows.values()))
    if ax is None:
        _, ax = plt.subplots(figsize=(max(6.0, 0.25 * longest), 3.2), layout="constrained")
    for y, row in enumerate(rows.values()):
        for layer in row:
            color, hatch, _ = KV_STYLES[layer.kv]
            ax.bar(
                layer.index, 0.8 if layer.attention == "full" else 0.45, width=0.8,
                bottom=y - (0.4 if layer.attention == "full" else 0.225), color="white",
                edgecolor=color, hatch=hatch, linewidth=1.5,
            )  # fmt: skip
    ax.set_yticks(range(len(rows)), [f"{name}\n{len(row)} layers" for name, row in rows.items()])
    ax.set(
        xlabel="number of the layer (tall: full attention, low: sliding window)",
        xticks=range(0, longest, 5), xlim=(-0.8, longest), ylim=(1.6, -0.6),
    )  # fmt: skip
    ax.spines[["top", "right"]].set_visible(False)
    used = dict.fromkeys(layer.kv for row in rows.values() for layer in row)
    handles = [
        Patch(facecolor="white", edgecolor=color, hatch=hatch, label=words)
        for color, hatch, words in map(KV_STYLES.__getitem__, used)
    ]
    ax.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, frameon=False,
        title="keys and values: the layer ...",
    )  # fmt: skip
    return ax


def describe_layers(pair: ModelPair) -> str:
    """Return in words what `plot_layers` draws."""
    target, drafter = layers(pair)
    own = [layer for layer in target if layer.kv != "shared"]
    handed = [f"{layer.index} ({layer.attention})" for layer in target if layer.kv == "handed over"]
    return tr(
        "The target has {target} layers, {full} of them with full attention. The "
        "first {own} make keys and values of their own, the others share them. Layers "
        "{handed} hand theirs to the drafter, whose {drafter} layers, "
        "{drafter_full} of them with full attention, have none of their own.",
        target=len(target),
        full=_full(target),
        own=len(own),
        handed=tr(" and ").join(handed),
        drafter=len(drafter),
        drafter_full=_full(drafter),
    )


def _full(row: list[LayerInfo]) -> int:
    return sum(layer.attention == "full" for layer in row)


def plot_laws(
    names: Sequence[str], laws: Mapping[str, Sequence[float]], *, ax: Axes | None = None
) -> Axes:
    """Draw several laws over the same few tokens as bars side by side.

    Args:
        names: The tokens' texts.
        laws: For each law its probabilities, in the order of `names`.
        ax: Where to draw.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    width = 0.8 / len(laws)
    styles = zip(
        ("#0072B2", "#009E73", "#D55E00", "#CC79A7"), ("", "///", "...", "xx"), strict=True
    )
    for index, ((label, law), (color, hatch)) in enumerate(zip(laws.items(), styles, strict=False)):
        places = [i + (index - (len(laws) - 1) / 2) * width for i in range(len(names))]
        ax.bar(
            places, law, width, label=label, color="white", edgecolor=color, hatch=hatch,
            linewidth=1.5,
        )  # fmt: skip
    ax.set_xticks(range(len(names)), [visible(name) for name in names])
    ax.set(xlabel="next token", ylabel="probability")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def describe_laws(names: Sequence[str], laws: Mapping[str, Sequence[float]]) -> str:
    """Return in words what `plot_laws` draws."""
    tokens = (
        f"{visible(name)!r}: " + ", ".join(f"{label} {law[i]:.0%}" for label, law in laws.items())
        for i, name in enumerate(names)
    )
    return tr("Bar chart of the probability of the next token. {bars}.", bars="; ".join(tokens))
