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
from gemma_mtp_edu.show.style import BLUE, GREEN, GREY, LINES, PINK, RED, axes, hollow, note, tidy
from gemma_mtp_edu.show.views import visible

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.calibration import PassTimes
    from gemma_mtp_edu.training.training_plan import Look

_HOMES = {
    "style": ("show_figure", "figure_html"),
    "views": ("step_html",),
    "rounds": ("plot_rounds", "describe_rounds"),
    "plots_cost": (
        "plot_expected_tokens", "plot_round_costs", "plot_predictions", "plot_runs",
        "plot_scenarios", "plot_memory", "plot_card",
    ),
    "plots_tradeoff": (
        "plot_saved_and_wasted", "saved_and_wasted", "plot_kept_by_place", "plot_lengths",
        "plot_schedules", "plot_speedup_surface",
    ),
    "plots_drafter": ("plot_attention", "plot_ablations", "plot_clusters"),
    "plots_models": ("plot_layers", "plot_drafter"),
    "widgets": ("summary_html",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"gemma_mtp_edu.show.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_HOME_OF, *(name for name in globals() if name.startswith("plot_"))])


def plot_pass_times(times: "PassTimes") -> Axes:
    """Draw the time of one target pass against its number of tokens, relative to the shortest.

    The dashed line is what as many tokens would take in passes of the shortest kind.
    """
    ax = axes(width=6)
    shortest, points = times.lengths[0], list(zip(times.lengths, times.relative, strict=True))
    ax.plot(*zip(*points, strict=True), "o-", color=BLUE, label="all in one pass (measured)")
    ax.plot(times.lengths, [n / shortest for n in times.lengths], "--", color=RED,
            label="one by one" if shortest == 1 else f"in passes of {shortest}")  # fmt: skip
    for length, ratio in points[1:]:
        note(ax, f"{ratio:.1f}", (length, ratio), (0, 6), ha="center", fontsize=9)
    ax.set(xlabel="tokens", ylabel="times as long as the shortest pass", xticks=times.lengths,
           ylim=(0, None))  # fmt: skip
    told = (tr("over {n}: {ratio:.1f} times the shortest", n=n, ratio=r) for n, r in points)
    alt = tr(
        "Line chart of the time of one target pass by its number of tokens, against a dashed line "
        "of that many one-token passes: {points}. Context {context} tokens.",
        points=", ".join(told),
        context=times.context_length,
    )
    return tidy(ax, alt, "inside")


def plot_distributions(names: Sequence[str], distributions: Mapping[str, Sequence[float]]) -> Axes:
    """Draw several distributions over the same few tokens as bars side by side.

    Args:
        names: The tokens' texts.
        distributions: For each its name, and its probabilities in the order of `names`.
    """
    ax = axes(3.2, 7)
    width = 0.8 / len(distributions)
    styles = ((BLUE, ""), (GREEN, "///"), (RED, "..."), (PINK, "xx"))
    for index, ((label, probs), style) in enumerate(
        zip(distributions.items(), styles, strict=False)
    ):
        shift = (index - (len(distributions) - 1) / 2) * width
        places = [place + shift for place in range(len(names))]
        ax.bar(places, probs, width, label=label, **hollow(*style))
    shown = [visible(name) for name in names]
    ax.set_xticks(range(len(names)), shown)
    ax.set(xlabel="next token", ylabel="probability")
    bars = (
        f"{name!r}: " + ", ".join(f"{label} {p[i]:.0%}" for label, p in distributions.items())
        for i, name in enumerate(shown)
    )
    alt = tr("Bar chart of the probability of the next token. {bars}.", bars="; ".join(bars))
    return tidy(ax, alt, "inside")


def plot_training(looks: Mapping[str, Sequence["Look"]], *, reference: float | None = None) -> Axes:
    """Draw the held-out acceptance by training step, a line for each training.

    Args:
        looks: By name.
        reference: An acceptance to compare with, drawn as a dotted line.
    """
    ax = axes()
    lines = []
    for (name, points), (color, line, marker) in zip(looks.items(), LINES, strict=False):
        shares = [(p.step, p.acceptance or 0.0) for p in points]
        ax.plot(*zip(*shares, strict=True), linestyle=line, marker=marker, color=color, label=name)
        steps = (tr("{share:.0%} at step {step}", share=share, step=step) for step, share in shares)
        lines.append(f"{name}: " + ", ".join(steps))
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
    return tidy(ax, alt, "beside")
