"""The figure of a training: what the held-out texts say while it runs, and its description."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from gemma_mtp_edu.lessons.language import sentences, tr
from gemma_mtp_edu.show.style import LINES, axes, tidy
from gemma_mtp_edu.training.training_plan import Look


def plot_training(
    looks: Mapping[str, Sequence[Look]], *, reference: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the held-out acceptance by training step, a line for each training.

    Args:
        looks: By name.
        reference: An acceptance to compare with, drawn as a dotted line.
        ax: Where to draw; a new figure by default.
    """
    ax = ax or axes()
    for (name, points), (color, line, marker) in zip(looks.items(), LINES, strict=False):
        ax.plot([p.step for p in points], [p.acceptance or 0.0 for p in points], linestyle=line,
                marker=marker, color=color, label=name)  # fmt: skip
    if reference is not None:
        ax.axhline(reference, color="#666666", linestyle=":", label="bundled drafter")
    ax.set(xlabel="training step", ylabel="held-out acceptance", ylim=(0, 1))
    return tidy(ax, legend="beside")


def describe_training(
    looks: Mapping[str, Sequence[Look]], *, reference: float | None = None
) -> str:
    """Return in words what `plot_training` draws."""
    lines = (
        f"{name}: "
        + ", ".join(
            tr("{share:.0%} at step {step}", share=p.acceptance or 0, step=p.step) for p in points
        )
        for name, points in looks.items()
    )
    chart = tr(
        "Line chart of the share of drafts that are accepted on held-out texts, by training step. "
        "{lines}.",
        lines="; ".join(lines),
    )
    if reference is None:
        return chart
    bound = tr("A dotted line: the bundled drafter, {share:.0%}.", share=reference)
    return sentences(chart, bound)
