"""The two widgets, and what the explorer shows without one.

Core widgets, `observe` and HTML only: these work in Colab, JupyterLab and VS Code alike, with
ipywidgets 7 and 8. A figure is HTML too, because ipywidgets' own image takes no alt text.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, cast

import ipywidgets
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gemma_mtp_edu.analysis import tradeoff
from gemma_mtp_edu.analysis.cost import round_cost
from gemma_mtp_edu.analysis.metrics import wasted_drafts
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.tradeoff import Cost, Measured, Outcome, Setting
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.lessons.language import current, marked, speaking, tr
from gemma_mtp_edu.show.style import PER_ROUND, figure_html, lines_chart
from gemma_mtp_edu.show.views import html_tokens, more_rounds, page, step_html

ROUNDS_SHOWN, TOKENS_SHOWN = 8, 36  # no more than stands beside the chart
KIND_WORDS = {"constant": marked("constant"), "heuristic": marked("heuristic"),
              "confidence": marked("confidence"), "oracle": marked("oracle")}  # fmt: skip
_STYLE = {"description_width": "initial"}
_BUTTONS, _ROW = {**_STYLE, "button_width": "initial"}, {"flex_flow": "row wrap"}
_TOKENS, _CHART = {"flex": "1 1 300px", "min_width": "0"}, {"flex": "0 1 510px", "min_width": "0"}


class _Panel(ipywidgets.VBox):
    """Controls, and HTML views that are drawn anew whenever a control has another value.

    Its language is kept: what a control calls later must not depend on another cell's choice.
    """

    controls: tuple[ipywidgets.Widget, ...]  # in the order in which Tab reaches them
    lang: str
    _draw: Callable[[Any], None]

    def _build(self, children: Sequence[ipywidgets.Widget]) -> None:
        for control in self.controls:
            # In a narrow window each takes the room that there is.
            control.layout.max_width = "98%"
            control.observe(self._draw, names="value")
        super().__init__(children)
        self._draw(None)

    def __repr__(self) -> str:
        with speaking(self.lang):  # what a page shows that runs no widgets, as GitHub
            return tr("{name}: run the notebook to use it", name=type(self).__name__)


class RoundViewer(_Panel):
    """Step through the rounds of a trace: guess what the target says, then reveal it.

    Moving to another round hides its verdict again, unless verdicts are `revealed` at once.
    """

    def __init__(self, trace: GenerationTrace, *, revealed: bool = False,
                 lang: str | None = None) -> None:  # fmt: skip
        self.lang, self.trace, self._reveals = lang or current(), trace, revealed
        last = len(trace.rounds) - 1
        with speaking(self.lang):
            words = tr("round"), tr("Round before"), tr("Next round"), tr("Show the result")
        self.round = ipywidgets.IntSlider(min(1, last), 0, last, description=words[0])
        self.round.continuous_update = False
        self.back = ipywidgets.Button(description=words[1], icon="arrow-left")
        self.forward = ipywidgets.Button(description=words[2], icon="arrow-right")
        self.reveal = ipywidgets.ToggleButton(value=revealed, description=words[3])
        self.back.on_click(lambda _: self._move(-1))
        self.forward.on_click(lambda _: self._move(1))
        self.view, self.controls = ipywidgets.HTML(), (self.round, self.reveal)
        row = (self.round, self.back, self.forward, self.reveal)
        self._build([ipywidgets.HBox(row, layout=_ROW), self.view])

    def _move(self, by: int) -> None:
        self.round.value = min(max(self.round.value + by, 0), self.round.max)

    def _draw(self, change: Any) -> None:
        if change and change["owner"] is self.round:
            self.reveal.value = self._reveals
        now, shown = self.round.value, self.reveal.value
        self.view.value = step_html(self.trace, now, revealed=shown, lang=self.lang)


class TradeoffExplorer(_Panel):
    """Move a schedule's controls and see tokens, waste, speedup and the distance to the oracle.

    Each answer is an exact replay of a workload's text; the speedup is predicted from the costs of
    a measured machine, or from the cost of a draft in decode steps. Controls that the schedule does
    not read are switched off. Where speedups by constant length were `measured`, as in lesson 08,
    they are shown beside the predicted ones. Tab, Space and the arrow keys reach all of it.
    """

    def __init__(self, profiles: Mapping[str, AcceptanceProfile], cost: Cost = 0.1, *,
                 measured: Mapping[str, Measured] | None = None,
                 lang: str | None = None) -> None:  # fmt: skip
        if not profiles:
            raise ValueError("got no profiles, need one for each workload: {'story': profile}")
        self.profiles, self.cost, self.measured = dict(profiles), cost, measured
        self.lang, ratio = lang or current(), tradeoff.draft_cost(cost)
        longest = max(tradeoff.longest_draft(profile, cost) for profile in profiles.values())
        with speaking(self.lang):
            kinds = [(tr(words), kind) for kind, words in KIND_WORDS.items()]
            words = tr("draft length"), tr("threshold"), tr("cost of a draft")
            # Buttons: in a drop-down list JupyterLab takes the arrow keys and letters for itself.
            self.workload, self.schedule = (
                ipywidgets.ToggleButtons(options=options, description=word, style=_BUTTONS)
                for options, word in ((list(profiles), tr("workload")), (kinds, tr("schedule")))
            )
        names, most = [{"description": w, "style": _STYLE} for w in words], max(1.0, 2 * ratio)
        self.draft_length = ipywidgets.IntSlider(min(4, longest), 1, longest, **names[0])
        self.threshold = ipywidgets.FloatSlider(0.4, min=0.0, max=1.0, step=0.05, **names[1])
        self.cost_ratio = ipywidgets.FloatSlider(ratio, min=0.0, max=most, step=0.01, **names[2])
        sliders = self.draft_length, self.threshold, self.cost_ratio
        for slider in sliders:
            slider.layout.width = "272px"  # all three in a row
        self.controls = (self.workload, self.schedule, *sliders)
        self.counts, self.view, self.figure = (
            ipywidgets.HTML(layout=layout) for layout in ({}, _TOKENS, _CHART)
        )
        rows = (self.workload, self.schedule), sliders, (self.view, self.figure)
        buttons, moved, page = (ipywidgets.HBox(row, layout=_ROW) for row in rows)
        self._build([buttons, moved, self.counts, page])

    @property
    def setting(self) -> Setting:
        """The schedule as the controls say it."""
        return Setting(self.schedule.value, self.draft_length.value, round(self.threshold.value, 2))

    def _draw(self, change: Any) -> None:
        setting, name, ratio = self.setting, self.workload.value, self.cost_ratio.value
        self.draft_length.disabled = setting.kind not in ("constant", "heuristic")
        self.threshold.disabled = setting.kind != "confidence"
        text, known = self.profiles[name], (self.measured or {}).get(name, {})
        measured = None if self.measured is None else known
        # First the numbers: they need not wait for the picture.
        result = tradeoff.outcome(text, setting, self.cost, ratio)
        with speaking(self.lang):
            self.counts.value = _counts(result, setting, measured)
            self.view.value = _rounds(result, setting, name)
            runs, cost_of = tradeoff.constant_replays(text, self.cost), round_cost(self.cost, ratio)
            self.figure.value = figure_html(chart(tradeoff.speedups(runs, cost_of), result, known))


def chart(speeds: Sequence[float], result: Outcome, measured: Measured) -> Axes:
    """Draw the speedup with 1, 2, ... drafts, and across it the chosen schedule's and the best."""
    lines = {"constant lengths": dict(enumerate(speeds, 1)), "measured": measured}
    across = {"plain decoding": 1.0, "chosen schedule": result.speedup,
              "oracle": result.best_speedup}  # fmt: skip
    ax = lines_chart({k: v for k, v in lines.items() if v}, PER_ROUND, "speedup", across)
    ax.set_title(f"{result.speedup:.2f}x with the chosen schedule, {result.best_speedup:.2f}x for "
                 "the oracle", fontsize=10)  # fmt: skip
    cast(Figure, ax.figure).set_size_inches(5, 3.6)
    below: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": 3}
    ax.legend(frameon=False, fontsize=9, **below)
    return ax


def summary_html(profile: AcceptanceProfile, setting: Setting, cost: Cost = 0.1,
                 cost_ratio: float | None = None, *, workload: str = "",
                 measured: Measured | None = None, lang: str | None = None) -> str:  # fmt: skip
    """Return what the explorer shows of a setting of one text as HTML: numbers, then rounds.

    `cost_ratio` is the cost of a draft in decode steps in place of the machine's own.
    """
    with speaking(lang):
        result = tradeoff.outcome(profile, setting, cost, cost_ratio)
        return _counts(result, setting, measured) + _rounds(result, setting, workload)


def _counts(result: Outcome, setting: Setting, measured: Measured | None) -> Markup:
    rows = numbers(result)
    if measured is not None:
        speed = measured.get(setting.draft_length) if setting.kind == "constant" else None
        rows.insert(-2, (tr("measured"), tr("not measured") if speed is None else f"{speed:.2f}x"))
    return page(
        "<div{{ lang }} class='mtp-counts' role='status' aria-live='polite' style='display:flex;"
        "flex-wrap:wrap;gap:0 1em;font-size:95%'>{% for label, value in rows %}<div>"
        "<span>{{ label }}</span><br><b>{{ value }}</b></div>{% endfor %}</div>",
        rows=rows)  # fmt: skip


def _rounds(result: Outcome, setting: Setting, workload: str) -> Markup:
    trace, words = result.trace, setting_words(setting)
    rounds = shown_rounds(trace)
    return page(
        "<div{{ lang }} class='mtp-tradeoff'><p style='margin:0'><b>{{ name }}</b></p>"
        "<ol style='padding-left:2em;margin:0;line-height:1.5'>{% for tokens in rounds %}<li>"
        "{{ tokens }}</li>{% endfor %}</ol>{% for line in more %}<p>{{ line }}</p>{% endfor %}"
        "</div>",
        name=f"{workload}: {words}" if workload else words,
        rounds=[html_tokens(trace, record) for record in rounds],
        more=more_rounds(len(trace.draft_rounds) - len(rounds)))  # fmt: skip


def shown_rounds(trace: GenerationTrace) -> Sequence[RoundTrace]:
    """Return the first rounds, as many as stand beside the chart."""
    rounds = trace.draft_rounds[:ROUNDS_SHOWN]
    drawn = accumulate(len(record.draft_ids) + 1 for record in rounds)
    return rounds[: max(1, sum(count <= TOKENS_SHOWN for count in drawn))]


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
        (tr("cost of a draft"), f"{result.draft_cost:.2f}"),
        (tr("target passes"), tr("{passes} for {tokens} tokens", passes=passes, tokens=tokens)),
        (tr("tokens per round"), f"{trace.tokens_per_round or 1:.2f}"),
        (tr("wasted drafts"), tr("{part} of {whole}", part=wasted, whole=trace.drafter_passes)),
        (tr("predicted speedup"), f"{result.speedup:.2f}x"),
        (tr("oracle's speedup"), f"{result.best_speedup:.2f}x"),
        (tr("share of oracle"), f"{result.share_of_best:.0%}"),
    ]
