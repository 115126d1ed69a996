"""What all figures share: colours, axes, bars, lines, alt text, and how a notebook shows them.

Colours are the Okabe-Ito palette's, its sky blue darkened so that it stands out from white. What a
colour says, a word, a marker, a line style or a hatch says too: a grey print still tells it.
"""

import base64
import io
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, cast

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure

from gemma_mtp_edu.lessons.language import called, html_lang, marked, sentences, tr

BLUE, RED, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#3A8FC4"
BLACK, GREY, DIVIDER = "#000000", "#666666", "#BBBBBB"
PER_ROUND, SPEED = "drafts per round (gamma)", "speed, plain decoding = 1"
COLORS = (BLUE, RED, GREEN, PINK, SKY, BLACK)
LINES = tuple(zip(COLORS, ("-", "--", "-.", ":", "-", "--"), "os^Dvx", strict=True))
# Numbers by the name of their row, line or part, then by their place in it.
Numbers = Mapping[str, Mapping[Any, float]]
AT = marked("{value:.2f} at {place}")
MOST_TOLD = 8  # numbers of a row; of a longer one the first, the middle, the largest and the last


def drafts(length: int) -> str:
    """Return a draft length in words: no drafts, 1 draft, 4 drafts."""
    few = {0: marked("no drafts"), 1: marked("1 draft")}
    return tr(few.get(length, marked("{n} drafts")), n=length)


def axes(height: float = 3.5, width: float = 7.5) -> Axes:
    """Return the axes of a new figure; sizes in inches."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def hollow(color: str, hatch: str = "") -> dict[str, Any]:
    """Return how a bar is drawn: its edge and its hatch say what it is, its inside stays white."""
    return {"color": "white", "edgecolor": color, "hatch": hatch, "linewidth": 1.5}


BARS = tuple(
    map(hollow, (BLUE, GREEN, RED, PINK, SKY, BLACK), ("", "///", "xx", "...", "\\\\\\", "++"))
)


def bars(ax: Axes, parts: Numbers, *, upright: bool = True) -> list[BarContainer]:
    """Draw bars of several parts, upwards or in rows to the right, the first part at zero."""
    places = list(next(iter(parts.values())))
    ends, at, drawn = [0.0] * len(places), range(len(places)), []
    draw, start = (ax.bar, "bottom") if upright else (ax.barh, "left")
    for (name, sizes), look in zip(parts.items(), BARS, strict=False):
        drawn.append(draw(at, list(sizes.values()), 0.6, **{**look, start: ends, "label": name}))
        ends = [end + size for end, size in zip(ends, sizes.values(), strict=True)]
    if upright:
        ax.set_xticks(at, list(map(str, places)))
    else:
        in_rows(ax, places)
    return drawn


def in_rows(ax: Axes, names: Iterable[str]) -> None:
    """Name the rows of a chart, the first one on top."""
    labels = list(names)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)


def lines_chart(lines: Numbers, xlabel: str, ylabel: str,
                across: Mapping[str, float] | None = None) -> Axes:  # fmt: skip
    """Draw lines by name, and lines across at the heights of `across`."""
    ax = axes()
    for index, (name, values) in enumerate(lines.items()):
        color, dashes, marker = LINES[index % len(LINES)]
        # Hollow and ever smaller, so that equal values do not hide each other.
        ax.plot(list(values), list(values.values()), linestyle=dashes, marker=marker, color=color,
                label=name, mfc="none", markersize=9 - index, clip_on=False)  # fmt: skip
    looks = ("black", ":"), (RED, "-"), (GREEN, "--")
    for (name, height), (color, dashes) in zip((across or {}).items(), looks, strict=False):
        ax.axhline(height, color=color, linestyle=dashes, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 1.05 * ax.dataLim.y1 or 1))
    places = sorted({place for line in lines.values() for place in line})
    if len(places) <= 2 * MOST_TOLD:
        ax.set_xticks(places)
    told = (listed(lines, AT), listed({marked("lines across"): across or {}}))
    return tidy(ax, "", "; ".join(filter(None, told)))


def listed(rows: Mapping[str, Mapping[Any, Any]], form: str = "{place} {value:.2f}") -> str:
    """Return numbers in words: `name: place value, place value; name: ...`, or in another form."""
    return "; ".join(
        f"{called(name)}: "
        + ", ".join(tr(form, place=called(str(at)), value=row[at]) for at in _telling(row))
        for name, row in rows.items()
        if row
    )


def _telling(row: Mapping[Any, Any]) -> list[Any]:
    places = list(row)
    some = {places[0], places[len(places) // 2], max(row, key=lambda at: row[at]), places[-1]}
    return [place for place in places if place in some or len(places) <= MOST_TOLD]


def tidy(ax: Axes, opening: str, numbers: str = "") -> Axes:
    """Take the frame away, add a legend of what has a name, keep an alt text for `show_figure`.

    It is the opening in the reader's language, by default the axes' labels, then what is drawn.
    """
    if ax.get_legend() is None and ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    ax.spines[["top", "right"]].set_visible(False)
    labels = {"ylabel": ax.get_ylabel(), "xlabel": ax.get_xlabel()}
    opening = opening or tr("Chart of {ylabel!r} by {xlabel!r}.", **labels)
    ax.set_label(sentences(opening, tr("{numbers}.", numbers=numbers) if numbers else ""))
    return ax


def show_figure(drawn: Axes | Figure, alt: str = "") -> None:
    """Display a figure as an image with a text, its own or `alt`, for those who cannot see it."""
    from IPython.display import display

    alt = alt or str(drawn.get_label())
    html = figure_html(drawn, alt)
    picture = html.rpartition("base64,")[2].removesuffix('">')
    display({"text/html": html, "image/png": picture, "text/plain": alt}, raw=True)


def figure_html(drawn: Axes | Figure, alt: str = "") -> str:
    """Return a figure, which is closed, as an `img` element that holds the picture."""
    from PIL import Image  # matplotlib brings it

    figure, alt = cast(Figure, drawn.figure), alt or str(drawn.get_label())
    if not alt.strip():
        raise ValueError("got no alt text, need a sentence that says what the figure shows")
    drawing, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawing, format="png", dpi=100, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    # A drawing needs no more colours than a palette has, and notebooks stay small.
    picture = Image.open(drawing).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    data = base64.b64encode(small.getvalue()).decode("ascii")
    return (
        f'<img{html_lang()} alt="{escape(alt)}" style="max-width:100%;height:auto" '
        f'src="data:image/png;base64,{data}">'
    )
