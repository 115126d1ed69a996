"""What all figures share: colours, axes, legend, alt text, and how a notebook shows them.

Colours are the Okabe-Ito palette's, its sky blue darkened so that it stands out from white. What a
colour says, a word, a marker, a line style or a hatch says too: a grey print still tells it.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, cast

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemma_mtp_edu.lessons.language import html_lang, tr

BLUE, RED, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#3A8FC4"
BLACK, GREY, DIVIDER = "#000000", "#666666", "#BBBBBB"
PER_ROUND, SPEED = "drafts per round (gamma)", "speed, plain decoding = 1"
LINES = (
    (BLUE, "-", "o"),
    (RED, "--", "s"),
    (GREEN, "-.", "^"),
    (PINK, ":", "D"),
    (SKY, "-", "v"),
    (BLACK, "--", "x"),
)


def drafts(length: int) -> str:
    """Return a draft length in words.

    >>> drafts(0), drafts(1), drafts(4)
    ('no drafts', '1 draft', '4 drafts')
    """
    if length == 0:
        return tr("no drafts")
    return tr("1 draft") if length == 1 else tr("{n} drafts", n=length)


def axes(height: float = 3.5, width: float = 7.5) -> Axes:
    """Return the axes of a new figure; sizes in inches."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def line(ax: Axes, xs: Sequence[float], ys: Sequence[float], look: tuple[str, str, str],
         label: str, **how: Any) -> None:  # fmt: skip
    """Draw a line with one of the `LINES`' colour, dashes and marker."""
    color, dashes, marker = look
    ax.plot(xs, ys, linestyle=dashes, marker=marker, color=color, label=label, **how)


def hollow(color: str, hatch: str = "") -> dict[str, Any]:
    """Return how a bar is drawn: its edge and its hatch say what it is, its inside stays white."""
    return {"color": "white", "edgecolor": color, "hatch": hatch, "linewidth": 1.5}


def stacked_bars(ax: Axes, parts: Mapping[str, Sequence[float]], looks: Iterable[dict[str, Any]],
                 *, upright: bool = True) -> None:  # fmt: skip
    """Draw bars of several parts, upwards or to the right, the first part at zero."""
    ends = [0.0] * len(next(iter(parts.values())))
    for (name, sizes), look in zip(parts.items(), looks, strict=True):
        if upright:
            ax.bar(range(len(ends)), sizes, 0.6, bottom=ends, label=name, **look)
        else:
            ax.barh(range(len(ends)), sizes, 0.6, left=ends, label=name, **look)
        ends = [end + size for end, size in zip(ends, sizes, strict=True)]


def note(ax: Axes, text: str, x: float, y: float, dx: float, dy: float, **how: Any) -> None:
    """Write beside the point (x, y), `dx` and `dy` points of print away from it."""
    ax.annotate(text, (x, y), xytext=(dx, dy), textcoords="offset points", **how)


def by_length(ax: Axes, gammas: Sequence[int], ylabel: str) -> Sequence[int]:
    """Return where on the x axis the draft lengths stand, each as far from the next."""
    ax.set_xticks(range(len(gammas)), [str(gamma) for gamma in gammas])
    ax.set(xlabel=PER_ROUND, ylabel=ylabel)
    return range(len(gammas))


def in_rows(ax: Axes, names: Iterable[str], xlabel: str) -> None:
    """Name the rows of a chart, the first one on top."""
    labels = list(names)
    ax.set_yticks(range(len(labels)), labels)
    ax.set(xlabel=xlabel, ylim=(len(labels) - 0.5, -0.5))


def tidy(ax: Axes, alt: str, legend: str = "") -> Axes:
    """Take the frame away, add a legend "beside" the chart, "inside" it or none, keep the alt."""
    if legend == "beside":
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    elif legend:
        ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return told(ax, alt)


def told(ax: Axes, alt: str) -> Axes:
    """Keep with a drawing what it shows, in the reader's language, for `show_figure` to say it."""
    ax.set_label(alt)
    return ax


def show_figure(drawn: Axes | Figure, alt: str = "") -> None:
    """Display a figure in the notebook as an image with a text for those who cannot see it.

    Args:
        drawn: What a function of `plots` returns, or any figure of matplotlib; it is closed.
        alt: What the picture shows, in a sentence or two; a figure of `plots` knows it itself.

    Raises:
        ValueError: There is no such text.
    """
    from IPython.display import HTML, display

    display(HTML(figure_html(drawn, alt)))


def figure_html(drawn: Axes | Figure, alt: str = "") -> str:
    """Return a figure as an `img` element that holds the picture; `show_figure` says more."""
    from PIL import Image  # matplotlib brings it

    figure, alt = cast(Figure, drawn.figure), alt or str(drawn.get_label())
    if not alt.strip():
        raise ValueError("got no alt text, need a sentence that says what the figure shows")
    drawing, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawing, format="png", dpi=100, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    # A drawing needs no more colours than a palette has, and notebooks stay small.
    picture = Image.open(drawing).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return image_html(small.getvalue(), alt)


def image_html(png: bytes, alt: str, size: tuple[int, int] | None = None) -> str:
    """Return a picture as an `img` element; given its size, a page does not jump as it changes."""
    sized = f' width="{size[0]}" height="{size[1]}"' if size else ""
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<img{html_lang()} alt="{escape(alt)}"{sized} style="max-width:100%;height:auto" '
        f'src="data:image/png;base64,{data}">'
    )
