"""Figures of traces and measurements, each with a description made from the same data.

Labels are ASCII, because matplotlib draws boxes for what its font lacks. Colours are the Okabe-Ito
palette's, and each role also has its own hatch, so a grey print still tells them apart.
"""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from gemma_mtp_edu.anatomy import LayerInfo, layers
from gemma_mtp_edu.pairs import ModelPair
from gemma_mtp_edu.timing import PassTimes
from gemma_mtp_edu.trace import GenerationTrace
from gemma_mtp_edu.views import MARKS, Role, shown_tokens, summary

HATCHES: dict[Role, str] = {
    "accepted": "",
    "rejected": "xxx",
    "correction": "///",
    "bonus": "...",
    "prefill": "---",
    "plain": "---",
}

# Where a layer's keys and values come from: edge colour and hatch.
KV_STYLES = {
    "own": ("#0072B2", ""),
    "handed over": ("#D55E00", "xx"),
    "shared": ("#666666", "..."),
    "target": ("#009E73", "///"),
}


def plot_rounds(
    trace: GenerationTrace, *, first: int = 0, count: int = 8, ax: Axes | None = None
) -> Axes:
    """Draw rounds as rows of token boxes: accepted, rejected, the target's own token.

    Args:
        trace: What to draw.
        first: The first round to draw.
        count: Rounds to draw at most.
        ax: Where to draw; a new figure by default.

    Raises:
        ValueError: There is no such round.
    """
    rounds = trace.rounds[first : first + count]
    if not rounds:
        raise ValueError(f"got first={first} and count={count}, the trace has {len(trace.rounds)}")
    rows = [shown_tokens(trace, record) for record in rounds]
    widest = max(len(row) for row in rows)
    if ax is None:
        _, ax = plt.subplots(
            figsize=(1.3 * widest + 1, 0.5 * len(rows) + 0.9), layout="constrained"
        )
    for y, row in enumerate(rows):
        for x, token in enumerate(row):
            mark = MARKS[token.role]
            ax.barh(
                y, 0.94, left=x, height=0.8, color="white", edgecolor=mark.color, linewidth=2,
                hatch=HATCHES[token.role], alpha=0.9,
            )  # fmt: skip
            ax.text(
                x + 0.47, y, f"{mark.ascii_symbol} {_short(token.text)}", ha="center", va="center",
                family="monospace", fontsize=9, parse_math=False,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
    ax.set_yticks(range(len(rows)), [f"round {first + i}" for i in range(len(rows))])
    ax.set_xticks([i + 0.47 for i in range(widest)], [str(i + 1) for i in range(widest)])
    ax.set(xlabel="token of the round", ylim=(len(rows) - 0.5, -0.5))
    ax.spines[["top", "right"]].set_visible(False)
    roles = list(dict.fromkeys(token.role for row in rows for token in row))
    ax.legend(
        handles=[
            Patch(
                facecolor="white", edgecolor=MARKS[role].color, hatch=HATCHES[role],
                label=f"{MARKS[role].ascii_symbol} {role}",
            )
            for role in roles
        ],
        loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False,
    )  # fmt: skip
    return ax


def describe_rounds(trace: GenerationTrace, *, first: int = 0, count: int = 8) -> str:
    """Return in words what `plot_rounds` draws."""
    sentences = []
    for index, record in enumerate(trace.rounds[first : first + count], start=first):
        tokens = ", ".join(f"{t.role} {t.text!r}" for t in shown_tokens(trace, record))
        sentences.append(f"Round {index}: {tokens}.")
    return f"Rounds of a generation with {summary(trace)}. " + " ".join(sentences)


def plot_pass_times(times: PassTimes, *, ax: Axes | None = None) -> Axes:
    """Draw the time of one target pass against its number of tokens, relative to one token.

    The dashed line is what as many one-token passes would take.
    """
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
    ax.plot(times.lengths, times.relative, "o-", color="#0072B2", label="one pass (measured)")
    ax.plot(
        times.lengths, [n / times.lengths[0] for n in times.lengths], "--", color="#D55E00",
        label="that many passes of one token",
    )  # fmt: skip
    ax.set(
        xlabel="tokens in the pass", ylabel="time / time of the shortest pass",
        xticks=times.lengths, ylim=(0, None),
    )  # fmt: skip
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def describe_pass_times(times: PassTimes) -> str:
    """Return in words what `plot_pass_times` draws."""
    return (
        "Line chart of the time of one target pass by its number of tokens, against a dashed line "
        "of that many one-token passes: "
        + ", ".join(
            f"{n} tokens {r:.1f} times the shortest"
            for n, r in zip(times.lengths, times.relative, strict=True)
        )
        + f". Context {times.context_length} tokens."
    )


def _short(text: str, limit: int = 9) -> str:
    """Return token text that fits its box and holds ASCII only."""
    plain = text.replace("·", "_").replace("↵", "\\n").replace("⇥", "\\t")
    plain = plain.encode("ascii", "backslashreplace").decode()
    return plain if len(plain) <= limit else plain[: limit - 2] + ".."


def plot_layers(pair: ModelPair, *, ax: Axes | None = None) -> Axes:
    """Draw both models layer by layer: attention type, and where keys and values come from."""
    rows = dict(zip(("target", "drafter"), layers(pair), strict=True))
    if ax is None:
        width = max(6.0, 0.28 * max(map(len, rows.values())))
        _, ax = plt.subplots(figsize=(width, 2.6), layout="constrained")
    for y, row in enumerate(rows.values()):
        for layer in row:
            color, hatch = KV_STYLES[layer.kv]
            full = layer.attention == "full"
            ax.barh(
                y, 0.86, left=layer.index, height=0.8 if full else 0.45, color="white",
                edgecolor=color, hatch=hatch, linewidth=1.5,
            )  # fmt: skip
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(xlabel="layer (tall: full attention, low: sliding window)", ylim=(1.6, -0.6))
    ax.spines[["top", "right"]].set_visible(False)
    used = dict.fromkeys(layer.kv for row in rows.values() for layer in row)
    ax.legend(
        handles=[
            Patch(facecolor="white", edgecolor=color, hatch=hatch, label=f"KV: {kv}")
            for kv, (color, hatch) in KV_STYLES.items()
            if kv in used
        ],
        loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False,
    )  # fmt: skip
    return ax


def describe_layers(pair: ModelPair) -> str:
    """Return in words what `plot_layers` draws."""
    target, drafter = layers(pair)
    own = [layer for layer in target if layer.kv != "shared"]
    handed = [f"{layer.index} ({layer.attention})" for layer in target if layer.kv == "handed over"]
    return (
        f"The target has {len(target)} layers, {_full(target)} of them with full attention. The "
        f"first {len(own)} make keys and values of their own, the others share them. Layers "
        f"{' and '.join(handed)} hand theirs to the drafter, whose {len(drafter)} layers, "
        f"{_full(drafter)} of them with full attention, have none of their own."
    )


def _full(row: list[LayerInfo]) -> int:
    return sum(layer.attention == "full" for layer in row)
