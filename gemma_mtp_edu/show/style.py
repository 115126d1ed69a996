"""What the line charts and bars share: their lines, their size, their legend.

Colours are the Okabe-Ito palette's, its sky blue darkened so that it stands out from white. What a
colour says, a marker and a line style say too.
"""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from gemma_mtp_edu.show.views import SKY

LINES = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#CC79A7", ":", "D"),
    (SKY, "-", "v"),
    ("#000000", "--", "x"),
)


def axes(height: float = 3.5) -> Axes:
    """Return the axes of a new figure; `height` in inches."""
    return plt.subplots(figsize=(7.5, height), layout="constrained")[1]


def tidy(ax: Axes, legend: str = "") -> Axes:
    """Take the frame away, and add a legend "beside" the chart, "inside" it, or none."""
    if legend == "beside":
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    elif legend:
        ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
