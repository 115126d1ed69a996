"""Every figure, under one name: `plots.show_figure(plots.plot_rounds(trace))`.

A function draws a new figure of its data and keeps with it, in the reader's language, an alt text
of the same data; `show_figure` shows both. The figures of one subject stand in a module, which is
imported when a figure of it is asked for; those of few lines stand here.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes

from gemma_mtp_edu.lessons.language import sentences, tr
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import BLUE, GREEN, GREY, LINES, PINK, RED, hollow
from gemma_mtp_edu.show.views import visible

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.calibration import PassTimes
    from gemma_mtp_edu.training.training_plan import Look

# Where else a name is looked for, modules that load no model library first.
_HOMES = ("style", "views", "rounds", "plots_cost", "plots_tradeoff", "plots_drafter", "widgets",
          "plots_models")  # fmt: skip


def __getattr__(name: str) -> Any:
    for home in () if name.startswith("_") else _HOMES:
        module = import_module(f"gemma_mtp_edu.show.{home}")
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    modules = [import_module(f"gemma_mtp_edu.show.{home}") for home in ("plots", *_HOMES)]
    return sorted({name for module in modules for name in vars(module) if name[:5] == "plot_"})


def plot_pass_times(times: "PassTimes") -> Axes:
    """Draw the time of one target pass against its number of tokens, relative to the shortest.

    The dashed line is what as many tokens would take in passes of the shortest kind.
    """
    ax, shortest = style.axes(width=6), times.lengths[0]
    in_one, one_by_one = times.relative, [n / shortest for n in times.lengths]
    separate = "one by one" if shortest == 1 else f"in passes of {shortest}"
    ax.plot(times.lengths, in_one, "o-", color=BLUE, label="all in one pass (measured)")
    ax.plot(times.lengths, one_by_one, "--", color=RED, label=separate)
    ax.set(xlabel="tokens", ylabel="times as long as the shortest pass", xticks=times.lengths,
           ylim=(0, None))  # fmt: skip
    points = []
    for length, ratio in zip(times.lengths, in_one, strict=True):
        points.append(tr("over {n}: {ratio:.1f} times the shortest", n=length, ratio=ratio))
        if length != shortest:
            style.note(ax, f"{ratio:.1f}", length, ratio, 0, 6, ha="center", fontsize=9)
    alt = tr(
        "Line chart of the time of one target pass by its number of tokens, against a dashed line "
        "of that many one-token passes: {points}. Context {context} tokens.",
        points=", ".join(points),
        context=times.context_length,
    )
    return style.tidy(ax, alt, "inside")


def plot_distributions(names: Sequence[str], distributions: Mapping[str, Sequence[float]]) -> Axes:
    """Draw several distributions over the same few tokens as bars side by side.

    Args:
        names: The tokens' texts.
        distributions: For each its name, and its probabilities in the order of `names`.
    """
    ax, count = style.axes(3.2, 7), len(distributions)
    looks = hollow(BLUE), hollow(GREEN, "///"), hollow(RED, "..."), hollow(PINK, "xx")
    for index, (label, probs) in enumerate(distributions.items()):
        places = [at + (index - (count - 1) / 2) * 0.8 / count for at in range(len(names))]
        ax.bar(places, probs, 0.8 / count, label=label, **looks[index])
    shown = [visible(name) for name in names]
    ax.set_xticks(range(len(names)), shown)
    ax.set(xlabel="next token", ylabel="probability")
    bars = "; ".join(
        f"{name!r}: " + ", ".join(f"{label} {p[i]:.0%}" for label, p in distributions.items())
        for i, name in enumerate(shown)
    )
    alt = tr("Bar chart of the probability of the next token. {bars}.", bars=bars)
    return style.tidy(ax, alt, "inside")


def plot_training(looks: Mapping[str, Sequence["Look"]], *, reference: float | None = None) -> Axes:
    """Draw the held-out acceptance by training step, a line for each training.

    Args:
        looks: By name.
        reference: An acceptance to compare with, drawn as a dotted line.
    """
    ax, lines = style.axes(), []
    for (name, points), look in zip(looks.items(), LINES, strict=False):
        steps, shares = [p.step for p in points], [p.acceptance or 0.0 for p in points]
        style.line(ax, steps, shares, look, name)
        told = map(lambda x, y: tr("{share:.0%} at step {step}", share=y, step=x), steps, shares)
        lines.append(f"{name}: " + ", ".join(told))
    alt = tr(
        "Line chart of the share of drafts that are accepted on held-out texts, by training step. "
        "{lines}.",
        lines="; ".join(lines),
    )
    if reference is not None:
        ax.axhline(reference, color=GREY, linestyle=":", label="bundled drafter")
        bound = tr("A dotted line: the bundled drafter, {share:.0%}.", share=reference)
        alt = sentences(alt, bound)
    ax.set(xlabel="training step", ylabel="held-out acceptance", ylim=(0, 1))
    return style.tidy(ax, alt, "beside")
