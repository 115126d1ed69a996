"""The explorer's figure: made once, moved at each answer; its alt text has the same numbers."""

import base64
import io
from collections.abc import Sequence
from html import escape

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gemma_mtp_edu.analysis.tradeoff import Measured
from gemma_mtp_edu.lessons.language import html_lang, sentences, tr

_INCHES, _PIXELS_PER_INCH = (6.0, 2.6), 80
_LEVELS = (("#D55E00", "-"), ("black", "--"))


class Chart:
    """A small figure that is made once; each answer moves its lines only, which is fast."""

    def __init__(self, longest: int, *, measured: bool) -> None:
        self.longest = longest
        # Twice as many pixels as it is wide on the page: sharp on dense screens too.
        self.figure = Figure(figsize=_INCHES, dpi=2 * _PIXELS_PER_INCH)
        FigureCanvasAgg(self.figure)
        self.ax = self.figure.subplots()
        self.figure.subplots_adjust(left=0.1, right=0.72, bottom=0.2, top=0.96)
        (self.curve,) = self.ax.plot(
            [1], [1], marker="o", markersize=4, color="#0072B2", label="constant lengths"
        )
        labels = ("chosen schedule", "best possible")
        self.levels = [
            self.ax.axhline(1, color=color, linestyle=line, label=label)
            for label, (color, line) in zip(labels, _LEVELS, strict=True)
        ]
        self.ax.axhline(1, color="#666666", linestyle=":", label="plain decoding")
        (self.points,) = self.ax.plot(
            [], [], "x", color="black", markersize=7, label="measured" if measured else None
        )
        self.ax.set(xlabel="drafts per round", ylabel="speed", xlim=(0.5, longest + 0.5))
        self.ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
        self.ax.spines[["top", "right"]].set_visible(False)

    def html(self, speeds: Sequence[float], chosen: float, best: float, measured: Measured) -> str:
        """Return the picture of these speeds as an `img` element, with a text that tells them."""
        self.curve.set_data(range(1, len(speeds) + 1), speeds)
        for line, speed in zip(self.levels, (chosen, best), strict=True):
            line.set_ydata([speed, speed])
        self.points.set_data(list(measured), list(measured.values()))
        self.ax.set_ylim(0, 1.1 * max(1.0, best, *speeds, *measured.values()))
        buffer = io.BytesIO()
        self.figure.savefig(
            buffer, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 1}
        )
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        alt = sentences(_told(speeds, chosen, best), _measured_words(measured))
        width, height = (round(inches * _PIXELS_PER_INCH) for inches in _INCHES)
        # With both sizes the page does not jump while a picture takes another's place.
        return (
            f'<img{html_lang()} alt="{escape(alt)}" width="{width}" height="{height}" '
            f'style="max-width:100%;height:auto" src="data:image/png;base64,{data}">'
        )


def _told(speeds: Sequence[float], chosen: float, best: float) -> str:
    fastest = max(speeds)
    return tr(
        "Line chart of the speed, plain decoding being 1, by drafts per round: {one:.2f} with 1 "
        "draft, best {fastest:.2f} with {length}, {last:.2f} with {most}. Lines across it: the "
        "chosen schedule at {chosen:.2f}, the best possible at {best:.2f}, plain decoding at 1.",
        one=speeds[0], fastest=fastest, length=speeds.index(fastest) + 1, last=speeds[-1],
        most=len(speeds), chosen=chosen, best=best,
    )  # fmt: skip


def _measured_words(measured: Measured) -> str:
    points = ", ".join(f"{length}: {speed:.2f}" for length, speed in measured.items())
    return tr("Measured, by draft length: {points}.", points=points) if points else ""
