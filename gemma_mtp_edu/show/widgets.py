"""ipywidgets over traces.

Core widgets, `observe` and one HTML view only: these work in Colab, JupyterLab and VS Code alike,
with ipywidgets 7 and 8. No logic stands here: what is shown comes from `step_view`, and can be had
there without a widget.
"""

from typing import Any

import ipywidgets

from gemma_mtp_edu.analysis.needed_records import need_trace
from gemma_mtp_edu.core.arguments import check_kind
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import current, speaking, tr
from gemma_mtp_edu.show.step_view import step_html


class RoundViewer(ipywidgets.VBox):
    """Step through the rounds of a trace: guess what the target says, then reveal it.

    The slider takes the arrow keys; the buttons take Enter and Space. Moving to another round hides
    its verdict again.

    Args:
        trace: A finished run; no model is needed.
        revealed: Whether verdicts show at once.
        lang: "en" or "ja"; by default the language that is chosen.

    Raises:
        ValueError: One of them is of another kind.
    """

    def __init__(
        self, trace: GenerationTrace, *, revealed: bool = False, lang: str | None = None
    ) -> None:
        with speaking(lang):
            # Kept: what a control calls later must not depend on another cell's choice.
            self.lang = current()
            need_trace(trace)
            check_kind(revealed, bool, "revealed", tr("True or False"))
            self._build(trace, revealed)

    def _build(self, trace: GenerationTrace, revealed: bool) -> None:
        self.trace = trace
        self.round = ipywidgets.IntSlider(
            value=min(1, len(trace.rounds) - 1),
            min=0,
            max=len(trace.rounds) - 1,
            description=tr("round"),
            continuous_update=False,
        )
        self.reveal = ipywidgets.ToggleButton(value=revealed, description=tr("Reveal the verdict"))
        self.back = ipywidgets.Button(description=tr("Round before"), icon="arrow-left")
        self.forward = ipywidgets.Button(description=tr("Next round"), icon="arrow-right")
        self.view = ipywidgets.HTML()
        self._reveals = revealed
        self.round.observe(self._moved, names="value")
        self.reveal.observe(self._draw, names="value")
        self.back.on_click(lambda _: self._move(-1))
        self.forward.on_click(lambda _: self._move(1))
        controls = ipywidgets.HBox([self.round, self.back, self.forward, self.reveal])
        controls.layout.flex_flow = "row wrap"
        super().__init__([controls, self.view])
        self._draw()

    def _move(self, step: int) -> None:
        # The slider itself keeps the value within its range.
        self.round.value = min(max(self.round.value + step, self.round.min), self.round.max)

    def _moved(self, change: Any) -> None:
        self.reveal.value = self._reveals
        self._draw()

    def _draw(self, change: Any = None) -> None:
        self.view.value = step_html(
            self.trace, self.round.value, revealed=self.reveal.value, lang=self.lang
        )
