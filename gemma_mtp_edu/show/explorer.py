"""The trade-off as a widget: choose a text, a schedule and a cost, and see what comes of it.

Core widgets, `observe` and two HTML views only, so that it works in Colab, JupyterLab and VS Code
alike, with ipywidgets 7 and 8. What is shown comes from `tradeoff`; no logic stands here. The
figure is an HTML view because ipywidgets' own image takes no text for those who cannot see it.
"""

from collections.abc import Mapping
from typing import Any

import ipywidgets

from gemma_mtp_edu.analysis import prices, tradeoff
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.needed_records import need_profile
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.core.arguments import check_kind, got, real
from gemma_mtp_edu.lessons.language import current, speaking, tr
from gemma_mtp_edu.show.explorer_figure import Chart

_STYLE = {"description_width": "initial"}
_BUTTONS = {**_STYLE, "button_width": "initial"}


class TradeoffExplorer(ipywidgets.VBox):
    """Move a schedule's controls and see tokens, waste, speed and the distance to the best.

    Each answer is an exact replay. The speed is predicted from the costs; no model runs. All
    controls are reached with Tab; Space presses a button, the left and right arrow keys move a
    slider. Those that the chosen schedule does not read are switched off.

    Args:
        profiles: A text for each workload.
        cost: A measured machine, or the cost of a draft in plain passes.
        measured: For any of the texts measured speedups by constant draft length, as
            `measured.measured_speedups` gives them; shown beside the predicted ones.
        lang: "en" or "ja"; by default the language that is chosen.

    Raises:
        ValueError: There is no profile, or an argument is of another kind.
    """

    def __init__(
        self,
        profiles: Mapping[str, AcceptanceProfile],
        cost: CostModel | float = 0.1,
        *,
        measured: Mapping[str, tradeoff.Measured] | None = None,
        lang: str | None = None,
    ) -> None:
        self.measured = measured
        with speaking(lang):
            # Kept: what a control calls later must not depend on another cell's choice.
            self.lang = current()
            self._build(profiles, cost)

    def _build(self, profiles: Mapping[str, AcceptanceProfile], cost: CostModel | float) -> None:
        _check(profiles, self.measured)
        self.profiles, self.cost = dict(profiles), cost
        # The drafts of a constant length do not depend on the cost: replayed once.
        self._replays = {
            name: tradeoff.constant_replays(profile, prices.longest_draft(profile, cost))
            for name, profile in self.profiles.items()
        }
        longest = max(map(len, self._replays.values()))
        self._chart = Chart(longest, measured=self.measured is not None)
        self._make_controls()
        self.view, self.figure = ipywidgets.HTML(), ipywidgets.HTML()
        for control in self.controls:
            # In a narrow window each takes the room that there is.
            control.layout.max_width = "98%"
            control.observe(self._draw, names="value")
        sliders = ipywidgets.HBox([self.draft_length, self.threshold, self.cost_ratio])
        sliders.layout.flex_flow = "row wrap"
        super().__init__([self.workload, self.schedule, sliders, self.view, self.figure])
        self._draw()

    @property
    def controls(self) -> tuple[ipywidgets.Widget, ...]:
        """All controls, in the order in which Tab reaches them."""
        return self.workload, self.schedule, self.draft_length, self.threshold, self.cost_ratio

    @property
    def setting(self) -> tradeoff.Setting:
        """The schedule as the controls say it."""
        return tradeoff.Setting(
            self.schedule.value, self.draft_length.value, round(self.threshold.value, 2)
        )

    def _make_controls(self) -> None:
        longest, ratio = self._chart.longest, prices.draft_cost(self.cost)
        # Buttons: in a drop-down list JupyterLab takes the arrow keys and letters for itself.
        self.workload = ipywidgets.ToggleButtons(
            options=list(self.profiles), description=tr("workload"), style=_BUTTONS
        )
        self.schedule = ipywidgets.ToggleButtons(
            options=[(tr(tradeoff.KIND_WORDS[kind]), kind) for kind in tradeoff.KINDS],
            description=tr("schedule"),
            style=_BUTTONS,
        )
        self.draft_length = ipywidgets.IntSlider(
            value=min(4, longest), min=1, max=longest, description=tr("draft length"), style=_STYLE
        )
        self.threshold = ipywidgets.FloatSlider(
            value=0.4, min=0.0, max=1.0, step=0.05, description=tr("threshold"), style=_STYLE
        )
        self.cost_ratio = ipywidgets.FloatSlider(
            value=ratio, min=0.0, max=max(1.0, 2 * ratio), step=0.01,
            description=tr("cost of a draft"), style=_STYLE,
        )  # fmt: skip

    def _draw(self, change: Any = None) -> None:
        setting, name = self.setting, self.workload.value
        self.draft_length.disabled = setting.kind not in ("constant", "heuristic")
        self.threshold.disabled = setting.kind != "confidence"
        ratio = self.cost_ratio.value
        result = tradeoff.outcome(self.profiles[name], setting, self.cost, ratio)
        measured = None if self.measured is None else self.measured.get(name, {})
        # First the numbers: they need not wait for the picture.
        self.view.value = tradeoff.outcome_html(
            result, setting, workload=name, measured=measured, lang=self.lang
        )
        price = prices.round_price(self.cost, ratio)
        speeds = tradeoff.speedups(self._replays[name], price)
        with speaking(self.lang):
            self.figure.value = self._chart.html(
                speeds, result.speedup, result.best_speedup, measured or {}
            )


def _check(profiles: Any, measured: Any) -> None:
    """Raise unless there is a profile for each workload, and measured speedups by draft length."""
    example = "{'story': acceptance_profile(...)}"
    needed = tr("one for each workload: {example}", example=example)
    check_kind(profiles, Mapping, "profiles", needed)
    if not profiles:
        raise ValueError(
            tr("got no profiles, need one for each workload: {example}", example=example)
        )
    for name, profile in profiles.items():
        check_kind(name, str, "workload", tr("a name"))
        need_profile(profile)
    if measured is not None:
        needed = tr("what measured_speedups returns")
        check_kind(measured, Mapping, "measured", needed)
        for speedups in measured.values():
            check_kind(speedups, Mapping, "measured", needed)
            for speedup in speedups.values():
                if not 0.0 <= real(speedup, "speedup", needed) < float("inf"):
                    raise ValueError(got(speedup, "speedup", needed))
