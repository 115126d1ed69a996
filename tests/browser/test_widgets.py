"""Sliders, keys, buttons, themes and a narrow window: what is seen is what `replay` says."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Locator

import lab
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.tradeoff import longest_draft
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.show.widgets import KIND_WORDS
from tests.cases import beside
from tests.unit.test_contrast import GRAPHICS, TEXT, contrast
from tests.unit.test_profile import make_profile
from tools.lessons import write_notebook
from widget_page import COST, PNG, Explorer, Viewer, wait_until

pytestmark = pytest.mark.browser
EXAMPLE = "example.ipynb"
MAX_GAMMA = 8
CELLS = (
    beside(__file__, ".py.txt"),
    "explorer = TradeoffExplorer(profiles, cost=0.1)\nexplorer",
    "viewer = RoundViewer(trace)\nviewer",
)


def profile(*accepted: int) -> AcceptanceProfile:
    """Return a profile of a text whose positions accept so many drafts; signs in it are no HTML."""
    chains = tuple(
        tuple(i + k if k < n else 100 + k for k in range(MAX_GAMMA))
        for i, n in enumerate(accepted)
    )  # fmt: skip
    probs = tuple(tuple(0.9 if d < 100 else 0.3 for d in chain) for chain in ((), *chains[1:]))
    made = make_profile(tuple(range(len(accepted))), chains[1:], probs=probs)
    refused = {100 + k: f"no{k}\n" for k in range(MAX_GAMMA)}
    return replace(made, vocabulary={i: f" <b>{i}" for i in made.token_ids} | refused)


EASY = profile(*([8] * 30))
HARD = profile(*([0, 1, 0, 2, 5] * 6))
PROFILES = {"easy": EASY, "hard": HARD}
TRACE = replay(HARD, Constant(4))


def write_example(folder: Path) -> None:
    """Write a notebook with both widgets that needs no model."""
    stored = {
        "profiles": {name: text.to_json() for name, text in PROFILES.items()},
        "trace": TRACE.to_json(),
    }
    (folder / "example.json").write_text(json.dumps(stored), encoding="utf-8")
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    # Without a kernel's name JupyterLab would ask for one.
    write_notebook(nbformat.v4.new_notebook(cells=cells), folder / EXAMPLE)


@pytest.fixture(scope="module")
def opened(browser: Browser, server: lab.Server) -> Iterator[lab.NotebookPage]:
    write_example(server.folder)
    with lab.watched_page(browser) as page:
        yield lab.NotebookPage(page, server, EXAMPLE)


@pytest.fixture
def notebook(opened: lab.NotebookPage) -> lab.NotebookPage:
    """The example with fresh widgets, in a wide window and the light theme."""
    opened.page.set_viewport_size(lab.WIDE)
    opened.use_theme("light")
    opened.run_all()
    return opened


@pytest.fixture
def explorer(notebook: lab.NotebookPage) -> Explorer:
    return Explorer(notebook.show(1), PROFILES, 0.1)


def use_explorer(explorer: Explorer) -> None:
    """Move every control once by mouse or keys; each answer is the replay of what they show."""
    assert explorer.agrees()
    longest = max(longest_draft(text, explorer.cost) for text in explorer.profiles.values())
    everything = ("strip", "numbers", "figure")
    last = list(explorer.profiles)[-1]
    explorer.answers(lambda: explorer.choose("workload", last), everything)
    explorer.answers(lambda: explorer.choose("schedule", "constant"))
    explorer.answers(lambda: explorer.drag("draft length", 1), everything)
    assert explorer.value("draft length") == longest
    explorer.answers(lambda: explorer.press("draft length", "ArrowLeft"), ("figure",))
    assert explorer.value("draft length") == longest - 1
    explorer.answers(lambda: explorer.press("draft length", "Home"), everything)
    explorer.answers(lambda: explorer.drag(COST, 0.9), ("numbers", "figure"))
    assert explorer.value(COST) > 0.5
    explorer.answers(lambda: explorer.press(COST, "ArrowLeft"), ("figure",))
    for kind in KIND_WORDS.values():
        explorer.answers(partial(explorer.choose, "schedule", kind))
    explorer.answers(lambda: explorer.choose("schedule", "confidence"))
    explorer.answers(lambda: explorer.drag("threshold", 0), ("strip",))
    explorer.answers(lambda: explorer.press("threshold", "End"), ("strip",))
    assert explorer.value("threshold") == 1


def test_the_explorer_by_mouse_and_keys(explorer: Explorer) -> None:
    use_explorer(explorer)


def test_controls_that_a_schedule_does_not_read_are_off(explorer: Explorer) -> None:
    switched = explorer.slider("draft length").locator(".noUi-target")
    for kind, off in (("oracle", "true"), ("constant", None)):
        explorer.answers(partial(explorer.choose, "schedule", kind))
        assert switched.get_attribute("disabled") == off


def test_a_window_shows_all_that_a_control_changes(explorer: Explorer) -> None:
    """Controls, numbers, tokens and chart at once, 720 pixels high; a narrow window stacks them."""
    page = explorer.cell.page
    page.set_viewport_size({"width": 1280, "height": 720})
    explorer.answers(lambda: explorer.drag("draft length", 1))
    widget = explorer.cell.locator(".jupyter-widgets.widget-vbox").first
    widget.scroll_into_view_if_needed()
    top = widget.bounding_box()
    tokens, chart = (explorer.cell.locator(part).bounding_box() for part in (".mtp-tradeoff", PNG))
    assert top["height"] <= 560  # the page of JupyterLab, less its bars
    assert chart["width"] >= 480
    assert chart["height"] >= 320
    assert tokens["x"] + tokens["width"] <= chart["x"]
    assert tokens["y"] + tokens["height"] <= top["y"] + top["height"] + 1
    page.set_viewport_size(lab.NARROW)
    wait_until(lambda: explorer.cell.locator(PNG).bounding_box()["x"] <= tokens["x"] + 1, "a stack")


def test_tab_leads_through_the_explorer_s_controls(explorer: Explorer) -> None:
    """Tab reaches every control in order, no token, then the next cell; Space presses a button."""
    page = explorer.cell.page
    explorer.choices("workload").first.focus()
    page.keyboard.press("Tab")
    explorer.answers(lambda: page.keyboard.press("Space"), ("strip", "numbers"))
    assert explorer.chosen("workload") == "hard"
    reached = []
    for _ in range(11):
        page.keyboard.press("Tab")
        inside = "document.activeElement.closest('.widget-toggle-buttons, .widget-slider')"
        reached.append(page.evaluate(f"{inside}?.querySelector('label').textContent"))
    *controls, after = dict.fromkeys(reached)
    assert (controls, after) == (["schedule", "draft length", "threshold", COST], "round")


@pytest.fixture
def viewer(notebook: lab.NotebookPage) -> Viewer:
    return Viewer(notebook.show(2), TRACE)


def test_the_viewer_by_mouse_and_keys(viewer: Viewer) -> None:
    use_viewer(viewer)


def use_viewer(viewer: Viewer) -> None:
    """Walk by slider and buttons; the verdict stays hidden until it is asked for."""
    last = len(viewer.trace.rounds) - 1
    viewer.wait_for(1, revealed=False)
    viewer.button("Show the result").press("Space")
    viewer.wait_for(1, revealed=True)
    viewer.press("round", "ArrowRight")
    viewer.wait_for(2, revealed=False)
    viewer.button("Next round").press("Enter")
    viewer.wait_for(3, revealed=False)
    viewer.button("Show the result").click()
    viewer.wait_for(3, revealed=True)
    viewer.button("Round before").click()
    viewer.wait_for(2, revealed=False)
    viewer.drag("round", 1)
    viewer.wait_for(last, revealed=False)
    viewer.press("round", "Home")
    viewer.wait_for(0, revealed=False)


@pytest.mark.parametrize("theme", lab.THEMES)
def test_both_widgets_are_readable_in_the_theme(theme: str, notebook: lab.NotebookPage) -> None:
    notebook.use_theme(theme)
    for index, view in ((1, ".mtp-tradeoff, .mtp-counts"), (2, ".mtp-step")):
        cell = notebook.show(index)
        page = background(cell)
        for text in cell.locator(f":is({view}) *:visible, .widget-label, .widget-readout").all():
            assert contrast(style(text, "color"), page) >= TEXT, text.inner_text()
        for frame in cell.get_by_role("img").filter(visible=True).all():
            if frame.get_attribute("alt") is None:  # tokens: a picture has a page of its own
                assert contrast(style(frame, "border-top-color"), page) >= GRAPHICS


def style(element: Locator, name: str) -> tuple[float, ...]:
    """Return a colour of an element."""
    return rgb(element.evaluate("(e, name) => getComputedStyle(e)[name]", name))


def rgb(value: str) -> tuple[float, ...]:
    """Return what a browser calls `rgb(255, 0, 51)` as shares of 1."""
    return tuple(float(part) / 255 for part in value[value.index("(") + 1 : -1].split(",")[:3])


def background(element: Locator) -> tuple[float, ...]:
    """Return the colour of the first element around that has one."""
    found = element.evaluate(
        """e => {
          while (/, 0\\)$/.test(getComputedStyle(e).backgroundColor)) e = e.parentElement;
          return getComputedStyle(e).backgroundColor;
        }"""
    )
    return rgb(found)


def test_a_narrow_window_hides_nothing(notebook: lab.NotebookPage) -> None:
    notebook.command("application:toggle-left-area")
    notebook.page.set_viewport_size(lab.NARROW)
    for index in (1, 2):
        cell = notebook.show(index)
        output = cell.locator(".jp-OutputArea-output").first
        assert output.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        tracks = [track.bounding_box() for track in cell.locator(".noUi-base").all()]
        assert min(track["width"] for track in tracks if track) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("name", ["08_choosing_the_draft_length", "09_schedules"])
def test_the_explorer_of_a_lesson(
    name: str, open_notebook: Callable[[str], lab.NotebookPage]
) -> None:
    lesson = open_notebook(f"{name}.ipynb")
    lesson.run_all()
    texts = lesson.evaluate("{name: p.to_json() for name, p in explorer.profiles.items()}")
    profiles = {name: AcceptanceProfile.from_json(text) for name, text in texts.items()}
    cost = lesson.evaluate(
        "explorer.cost if type(explorer.cost) is float else explorer.cost.to_json()"
    )
    cell = lesson.show(lesson.index_of("TradeoffExplorer("))
    explorer = Explorer(cell, profiles, cost if type(cost) is float else CostModel.from_json(cost))
    # From a measured cost to one that the slider shows with all its digits.
    explorer.press(COST, "ArrowRight")
    wait_until(explorer.agrees, f"{explorer.expected()}")
    use_explorer(explorer)


@pytest.mark.slow
def test_the_viewer_of_lesson_03(open_notebook: Callable[[str], lab.NotebookPage]) -> None:
    lesson = open_notebook("03_watch_one_round.ipynb")
    lesson.run_all()
    trace = GenerationTrace.from_json(lesson.evaluate("viewer.trace.to_json()"))
    use_viewer(Viewer(lesson.show(lesson.index_of("RoundViewer(")), trace))


@pytest.mark.slow
def test_the_viewer_speaks_japanese(open_notebook: Callable[[str], lab.NotebookPage]) -> None:
    lesson = open_notebook("ja/03_watch_one_round.ipynb")
    lesson.page.get_by_role("heading", name="セットアップ").wait_for()
    lesson.run_all()
    cell = lesson.show(lesson.index_of("RoundViewer("))
    cell.get_by_text("ラウンド 1 /").wait_for()
    assert cell.get_by_text("まず予想してください").count() == 1
    cell.get_by_role("button", name="判定を見る").click()
    cell.get_by_text("個を受け入れました。").wait_for()
    cell.get_by_role("button", name="次のラウンド").click()
    cell.get_by_text("ラウンド 2 /").wait_for()
