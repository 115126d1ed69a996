"""The two widgets, and what the explorer shows without one.

Core widgets, `observe` and HTML views only: these work in Colab, JupyterLab and VS Code alike, with
ipywidgets 7 and 8. A figure is an HTML view too, because ipywidgets' own image takes no text for
those who cannot see it.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gemma_mtp_edu.analysis import tradeoff
from gemma_mtp_edu.analysis.cost import CostModel, round_cost
from gemma_mtp_edu.analysis.metrics import wasted_drafts
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.tradeoff import Measured, Outcome, Setting
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import current, marked, sentences, speaking, tr
from gemma_mtp_edu.show.style import BLUE, GREY, RED, image_html
from gemma_mtp_edu.show.views import html_tokens, more_rounds, page, step_html

ROUNDS_SHOWN = 8
KIND_WORDS = {
    "constant": marked("constant"),
    "heuristic": marked("heuristic"),
    "confidence": marked("confidence"),
    "oracle": marked("best possible"),
}
_STYLE = {"description_width": "initial"}
_BUTTONS = {**_STYLE, "button_width": "initial"}


class RoundViewer(ipywidgets.VBox):
    """Step through the rounds of a trace: guess what the target says, then reveal it.

    The slider takes the arrow keys; the buttons take Enter and Space. Moving to another round hides
    its verdict again.

    Args:
        trace: A finished run; no model is needed.
        revealed: Whether verdicts show at once.
        lang: "en" or "ja"; by default the language that is chosen.
    """

    def __init__(
        self, trace: GenerationTrace, *, revealed: bool = False, lang: str | None = None
    ) -> None:
        # Kept: what a control calls later must not depend on another cell's choice.
        self.lang = lang or current()
        self.trace, self._reveals, last = trace, revealed, len(trace.rounds) - 1
        with speaking(self.lang):
            self.round = ipywidgets.IntSlider(
                min(1, last), 0, last, description=tr("round"), continuous_update=False
            )
            self.reveal = ipywidgets.ToggleButton(
                value=revealed, description=tr("Reveal the verdict")
            )
            self.back = ipywidgets.Button(description=tr("Round before"), icon="arrow-left")
            self.forward = ipywidgets.Button(description=tr("Next round"), icon="arrow-right")
        self.view = ipywidgets.HTML()
        self.round.observe(self._moved, names="value")
        self.reveal.observe(self._draw, names="value")
        # The slider itself keeps the value within its range.
        self.back.on_click(lambda _: setattr(self.round, "value", max(0, self.round.value - 1)))
        self.forward.on_click(
            lambda _: setattr(self.round, "value", min(last, self.round.value + 1))
        )
        controls = ipywidgets.HBox([self.round, self.back, self.forward, self.reveal])
        controls.layout.flex_flow = "row wrap"
        super().__init__([controls, self.view])
        self._draw()

    def _moved(self, change: Any) -> None:
        self.reveal.value = self._reveals
        self._draw()

    def _draw(self, change: Any = None) -> None:
        self.view.value = step_html(
            self.trace, self.round.value, revealed=self.reveal.value, lang=self.lang
        )


class TradeoffExplorer(ipywidgets.VBox):
    """Move a schedule's controls and see tokens, waste, speed and the distance to the best.

    Each answer is an exact replay. The speed is predicted from the costs; no model runs. All
    controls are reached with Tab; Space presses a button, the left and right arrow keys move a
    slider. Those that the chosen schedule does not read are switched off.

    Args:
        profiles: A text for each workload.
        cost: A measured machine, or the cost of a draft in plain passes.
        measured: For any of the texts measured speedups by constant draft length, as
            `measured_speedups` gives them; shown beside the predicted ones.
        lang: "en" or "ja"; by default the language that is chosen.

    Raises:
        ValueError: There is no profile.
    """

    def __init__(
        self,
        profiles: Mapping[str, AcceptanceProfile],
        cost: CostModel | float = 0.1,
        *,
        measured: Mapping[str, Measured] | None = None,
        lang: str | None = None,
    ) -> None:
        if not profiles:
            raise ValueError("got no profiles, need one for each workload: {'story': profile}")
        self.profiles, self.cost, self.measured = dict(profiles), cost, measured
        # Kept: what a control calls later must not depend on another cell's choice.
        self.lang = lang or current()
        # The drafts of a constant length do not depend on the cost: replayed once.
        self._replays = {
            name: tradeoff.constant_replays(profile, cost)
            for name, profile in self.profiles.items()
        }
        longest = max(map(len, self._replays.values()))
        self._chart = Chart(longest, with_measured=measured is not None)
        with speaking(self.lang):
            self._make_controls(longest, tradeoff.draft_cost(cost))
        self.view, self.figure = ipywidgets.HTML(), ipywidgets.HTML()
        for control in self.controls:
            # In a narrow window each takes the room that there is.
            control.layout.max_width = "98%"
            control.observe(self._draw, names="value")
        sliders = ipywidgets.HBox([self.draft_length, self.threshold, self.cost_ratio])
        sliders.layout.flex_flow = "row wrap"
        super().__init__([self.workload, self.schedule, sliders, self.view, self.figure])
        self._draw()

    def _make_controls(self, longest: int, ratio: float) -> None:
        # Buttons: in a drop-down list JupyterLab takes the arrow keys and letters for itself.
        self.workload = ipywidgets.ToggleButtons(
            options=list(self.profiles), description=tr("workload"), style=_BUTTONS
        )
        self.schedule = ipywidgets.ToggleButtons(
            options=[(tr(words), kind) for kind, words in KIND_WORDS.items()],
            description=tr("schedule"),
            style=_BUTTONS,
        )
        self.draft_length = ipywidgets.IntSlider(
            min(4, longest), 1, longest, description=tr("draft length"), style=_STYLE
        )
        self.threshold = ipywidgets.FloatSlider(
            value=0.4, min=0.0, max=1.0, step=0.05, description=tr("threshold"), style=_STYLE
        )
        self.cost_ratio = ipywidgets.FloatSlider(
            value=ratio, min=0.0, max=max(1.0, 2 * ratio), step=0.01,
            description=tr("cost of a draft"), style=_STYLE,
        )  # fmt: skip

    @property
    def controls(self) -> tuple[ipywidgets.Widget, ...]:
        """All controls, in the order in which Tab reaches them."""
        return self.workload, self.schedule, self.draft_length, self.threshold, self.cost_ratio

    @property
    def setting(self) -> Setting:
        """The schedule as the controls say it."""
        return Setting(self.schedule.value, self.draft_length.value, round(self.threshold.value, 2))

    def _draw(self, change: Any = None) -> None:
        setting, name, ratio = self.setting, self.workload.value, self.cost_ratio.value
        self.draft_length.disabled = setting.kind not in ("constant", "heuristic")
        self.threshold.disabled = setting.kind != "confidence"
        result = tradeoff.outcome(self.profiles[name], setting, self.cost, ratio)
        measured = None if self.measured is None else self.measured.get(name, {})
        speeds = tradeoff.speedups(self._replays[name], round_cost(self.cost, ratio))
        with speaking(self.lang):
            # First the numbers: they need not wait for the picture.
            self.view.value = outcome_html(result, setting, name, measured)
            self.figure.value = self._chart.html(speeds, result, measured or {})


class Chart:
    """A small figure that is made once; each answer moves its lines only, which is fast."""

    def __init__(self, longest: int, *, with_measured: bool) -> None:
        # Twice as many pixels as it is wide on the page: sharp on dense screens too.
        self.figure = Figure(figsize=(6.0, 2.6), dpi=160)
        FigureCanvasAgg(self.figure)
        self.ax = ax = self.figure.subplots()
        self.figure.subplots_adjust(left=0.1, right=0.72, bottom=0.2, top=0.96)
        (self.curve,) = ax.plot(
            [1], [1], marker="o", markersize=4, color=BLUE, label="constant lengths"
        )
        self.chosen = ax.axhline(1, color=RED, label="chosen schedule")
        self.best = ax.axhline(1, color="black", linestyle="--", label="best possible")
        ax.axhline(1, color=GREY, linestyle=":", label="plain decoding")
        label = "measured" if with_measured else None
        (self.points,) = ax.plot([], [], "x", color="black", markersize=7, label=label)
        ax.set(xlabel="drafts per round", ylabel="speed", xlim=(0.5, longest + 0.5))
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8)
        ax.spines[["top", "right"]].set_visible(False)

    def html(self, speeds: Sequence[float], result: Outcome, measured: Measured) -> str:
        """Return the picture of these speeds as an `img` element, with a text that tells them."""
        chosen, best, fastest = result.speedup, result.best_speedup, max(speeds)
        self.curve.set_data(range(1, len(speeds) + 1), speeds)
        self.chosen.set_ydata([chosen, chosen])
        self.best.set_ydata([best, best])
        self.points.set_data(list(measured), list(measured.values()))
        self.ax.set_ylim(0, 1.1 * max(1.0, best, *speeds, *measured.values()))
        png = io.BytesIO()
        self.figure.savefig(
            png, format="png", metadata={"Software": None}, pil_kwargs={"compress_level": 1}
        )
        alt = tr(
            "Line chart of the speed, plain decoding being 1, by drafts per round: {one:.2f} with "
            "1 draft, best {fastest:.2f} with {length}, {last:.2f} with {most}. Lines across it: "
            "the chosen schedule at {chosen:.2f}, the best possible at {best:.2f}, plain decoding "
            "at 1.",
            one=speeds[0], fastest=fastest, length=speeds.index(fastest) + 1, last=speeds[-1],
            most=len(speeds), chosen=chosen, best=best,
        )  # fmt: skip
        points = ", ".join(f"{length}: {speed:.2f}" for length, speed in measured.items())
        also = tr("Measured, by draft length: {points}.", points=points) if points else ""
        return image_html(png.getvalue(), sentences(alt, also), (480, 208))


def summary_html(
    profile: AcceptanceProfile,
    setting: Setting,
    cost: CostModel | float = 0.1,
    cost_ratio: float | None = None,
    *,
    workload: str = "",
    measured: Measured | None = None,
    lang: str | None = None,
) -> str:
    """Return what the explorer shows of a setting as HTML, with no widget.

    Args:
        profile: The text, and `workload` its name.
        setting: The schedule.
        cost: A measured machine, or the cost of a draft in plain passes.
        cost_ratio: The cost of a draft in plain passes, in place of the machine's own.
        workload: The text's name.
        measured: As for the explorer, of this text.
        lang: "en" or "ja"; by default the language that is chosen.
    """
    with speaking(lang):
        result = tradeoff.outcome(profile, setting, cost, cost_ratio)
        return outcome_html(result, setting, workload, measured)


def outcome_html(
    result: Outcome, setting: Setting, workload: str, measured: Measured | None = None
) -> str:
    """Return an outcome as HTML: the first rounds' tokens, then the numbers."""
    rounds, rows = result.trace.draft_rounds, numbers(result)
    words = setting_words(setting)
    if measured is not None:
        speed = measured.get(setting.draft_length) if setting.kind == "constant" else None
        shown = tr("not measured") if speed is None else f"{speed:.2f}"
        rows.insert(-2, (tr("measured speed, plain decoding = 1"), shown))
    return page(
        "<div{{ lang }} class='mtp-tradeoff'><p><b>{{ name }}</b></p>"
        "<ol style='padding-left:2em;margin:0'>{% for tokens in rounds %}<li>{{ tokens }}</li>"
        "{% endfor %}</ol>{% for line in more %}<p>{{ line }}</p>{% endfor %}"
        "<div role='status' aria-live='polite'><table style='border-collapse:collapse'><tbody>"
        "{% for label, value in rows %}<tr><th scope='row' style='text-align:left;{{ cell }}'>"
        "{{ label }}</th><td style='{{ cell }}'>{{ value }}</td></tr>{% endfor %}"
        "</tbody></table></div></div>",
        name=f"{workload}: {words}" if workload else words,
        rounds=[html_tokens(result.trace, record) for record in rounds[:ROUNDS_SHOWN]],
        more=more_rounds(len(rounds) - ROUNDS_SHOWN),
        rows=rows,
    )


def setting_words(setting: Setting) -> str:
    """Return a setting in words."""
    template = {
        "constant": marked("constant, {length} drafts in every round"),
        "heuristic": marked("heuristic, {length} drafts in the first round"),
        "confidence": marked("confidence, until a draft is below {threshold:.0%}"),
    }.get(setting.kind, KIND_WORDS[setting.kind])
    return tr(template, length=setting.draft_length, threshold=setting.threshold)


def numbers(result: Outcome) -> list[tuple[str, str]]:
    """Return what there is to say of an outcome as pairs of label and value."""
    trace, wasted = result.trace, wasted_drafts(result.trace)
    passes, tokens = trace.target_passes, len(trace.token_ids)
    return [
        (tr("cost of a draft, in plain passes"), f"{result.draft_cost:.2f}"),
        (tr("target passes"), tr("{passes} for {tokens} tokens", passes=passes, tokens=tokens)),
        (tr("tokens per round"), f"{trace.tokens_per_round or 1:.2f}"),
        (tr("wasted drafts"), tr("{part} of {whole}", part=wasted, whole=trace.drafter_passes)),
        (tr("predicted speed, plain decoding = 1"), f"{result.speedup:.2f}"),
        (tr("best possible speed"), f"{result.best_speedup:.2f}"),
        (tr("share of the best possible"), f"{result.share_of_best:.0%}"),
    ]
