"""The two widgets as a learner sees them: their controls, their tokens, their numbers."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from playwright.sync_api import Locator

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.tradeoff import Outcome, Setting, outcome
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.show.views import MARKS, shown_tokens
from gemma_mtp_edu.show.widgets import KIND_WORDS, numbers, shown_rounds

COST, PNG = "cost of a draft", "img[src^='data:image/png']"
# Of every token its sign and text, as drawn.
TOKENS = "tokens => tokens.map(token => token.textContent)"


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait until something holds; the kernel answers in its own time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.05)


@dataclass
class Controls:
    """The controls of a widget below a cell, found by the words beside them."""

    cell: Locator

    def slider(self, words: str) -> Locator:
        return self.cell.locator(".widget-slider").filter(has_text=words)

    def handle(self, words: str) -> Locator:
        """Return what of a slider is dragged and takes the keys."""
        return self.slider(words).get_by_role("slider")

    def choices(self, words: str) -> Locator:
        row = self.cell.locator(".widget-toggle-buttons").filter(has_text=words)
        return row.get_by_role("button")

    def chosen(self, words: str) -> str:
        return self.choices(words).and_(self.cell.locator(".mod-active")).inner_text()

    def choose(self, words: str, choice: str) -> None:
        self.choices(words).get_by_text(choice, exact=True).click()

    def value(self, words: str) -> float:
        return float(self.slider(words).locator(".widget-readout").inner_text())

    def drag(self, words: str, share: float) -> None:
        """Drag a slider's handle to a share of its track, in steps as a hand does."""
        handle = self.handle(words)
        handle.scroll_into_view_if_needed()
        at, track = handle.bounding_box(), self.slider(words).locator(".noUi-base").bounding_box()
        assert at
        assert track
        mouse, middle = self.cell.page.mouse, at["y"] + at["height"] / 2
        mouse.move(at["x"] + at["width"] / 2, middle)
        mouse.down()
        mouse.move(track["x"] + share * track["width"], middle, steps=4)
        mouse.up()

    def press(self, words: str, key: str) -> None:
        self.handle(words).press(key)


class Explorer(Controls):
    """A `TradeoffExplorer` and what it should show of profiles that the test holds too."""

    def __init__(
        self, cell: Locator, profiles: dict[str, AcceptanceProfile], cost: CostModel | float
    ) -> None:
        super().__init__(cell)
        self.profiles, self.cost = profiles, cost

    def setting(self) -> Setting:
        """Return the schedule that the controls show."""
        chosen = self.chosen("schedule")
        (kind,) = [kind for kind, words in KIND_WORDS.items() if words == chosen]
        return Setting(kind, int(self.value("draft length")), self.value("threshold"))

    def expected(self) -> Outcome:
        profile = self.profiles[self.chosen("workload")]
        return outcome(profile, self.setting(), self.cost, self.value(COST))

    def strip(self) -> list[list[str]]:
        """Return the shown rounds, of each its tokens."""
        rounds = self.cell.locator(".mtp-tradeoff li")
        return [row.get_by_role("img").evaluate_all(TOKENS) for row in rounds.all()]

    def numbers(self) -> dict[str, str]:
        rows = self.cell.locator(".mtp-counts > div")
        cells = [row.locator("span, b").all_inner_texts() for row in rows.all()]
        return dict(map(tuple, cells))

    def picture(self, attribute: str) -> str:
        return str(self.cell.locator(PNG).get_attribute(attribute))

    def figure(self) -> str:
        return self.picture("src")

    def agrees(self) -> bool:
        """Return whether strip, numbers and figure are those of the replay."""
        wanted = self.expected()
        rounds = shown_rounds(wanted.trace)
        levels = f"schedule {wanted.speedup:.2f}, oracle {wanted.best_speedup:.2f}"
        return (
            self.strip() == [tokens_of(wanted.trace, record) for record in rounds]
            and dict(numbers(wanted)).items() <= self.numbers().items()
            and levels in self.picture("alt")
        )

    def answers(self, act: Callable[[], object], changed: Sequence[str] = ()) -> None:
        """Move a control and wait until the answer is that of the replay.

        Args:
            act: Moves it.
            changed: What must be another one than before: "strip", "numbers", "figure".
        """
        before = {part: getattr(self, part)() for part in changed}
        act()
        wait_until(
            lambda: (
                self.agrees() and all(getattr(self, part)() != was for part, was in before.items())
            ),
            f"{self.expected()} with another {', '.join(changed)}",
        )


class Viewer(Controls):
    """A `RoundViewer` and the trace that it walks through."""

    def __init__(self, cell: Locator, trace: GenerationTrace) -> None:
        super().__init__(cell)
        self.trace = trace

    def button(self, words: str) -> Locator:
        return self.cell.get_by_role("button", name=words)

    def tokens(self) -> list[str]:
        return list(self.cell.locator(".mtp-step").get_by_role("img").evaluate_all(TOKENS))

    def shows(self, index: int, revealed: bool) -> bool:
        """Return whether a round is shown, with the target's verdict or without."""
        wanted = tokens_of(self.trace, self.trace.rounds[index], verified=revealed)
        text = self.cell.locator(".mtp-step").inner_text()
        here = f"Round {index} of {len(self.trace.rounds) - 1}" in text
        return here and self.tokens() == wanted and ("Guess first" in text) != revealed

    def wait_for(self, index: int, *, revealed: bool) -> None:
        wait_until(lambda: self.shows(index, revealed), f"round {index}, revealed {revealed}")


def tokens_of(trace: GenerationTrace, record: RoundTrace, *, verified: bool = True) -> list[str]:
    """Return a round's tokens as they should be drawn: sign and text."""
    shown = shown_tokens(trace, record, verified=verified)
    return [f"{MARKS[token.role].symbol} {token.text}" for token in shown]
