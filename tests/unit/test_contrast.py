"""What is drawn can be seen or heard: contrast, nothing by colour alone, alt texts.

Ratios are WCAG 2.2's: 4.5 for text (1.4.3), 3 for graphics that say something (1.4.11).
"""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from gemma_mtp_edu.analysis.tradeoff import Setting, outcome
from gemma_mtp_edu.lessons import language
from gemma_mtp_edu.show import plots
from gemma_mtp_edu.show.views import MARKS
from gemma_mtp_edu.show.widgets import chart
from tests.cases import tables
from tests.unit.test_tradeoff import EASY
from tests.unit.test_views import JAPANESE, WORD, english_words, trace

PACKAGE = Path(plots.__file__).parents[1]
PAGES = tables(__file__)["pages"]
# Lines that part or join what stands there anyway.
DECORATION = {"#BBBBBB"}
TEXT, GRAPHICS = 4.5, 3.0


def luminance(color: Any) -> float:
    """Return WCAG's relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: Any, other: Any) -> float:
    """Return WCAG's ratio, 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def drawings() -> dict[str, Callable[[], Axes]]:
    """Return a call of every figure that needs no model, by name."""
    named = {"p": 1.1, "q": 1.3, "r": 1.2}
    return {
        "rounds": lambda: plots.plot_rounds(trace()),
        "lines": lambda: plots.lines_chart({n: {1: 0.5} for n in "abcdef"}, "x", "y", named),
        "speeds": lambda: plots.plot_speeds({"a": named, "b": named}),
        "explorer": lambda: chart((1.1, 1.2), outcome(EASY, Setting("constant", 2), 0.1), {1: 1.0}),
    }


@pytest.fixture(params=list(drawings()))
def axes(request: pytest.FixtureRequest) -> Iterator[Axes]:
    yield drawings()[request.param]()
    plt.close("all")


def test_ratios_are_those_of_the_standard() -> None:
    """Black on white is 21; #767676 is the lightest grey that passes for text on white."""
    assert contrast("black", "white") == pytest.approx(21)
    assert contrast("#767676", "white") >= TEXT > contrast("#777777", "white")


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("role", MARKS)
def test_frames_of_tokens_stand_out_from_every_page(role: str, page: str) -> None:
    assert contrast(MARKS[role].color, page) >= GRAPHICS


def test_every_colour_of_the_package_stands_out_from_white() -> None:
    found = {
        (path.name, color)
        for path in PACKAGE.rglob("*.py")
        for color in re.findall(r"#[0-9A-Fa-f]{6}\b", path.read_text(encoding="utf-8"))
        if color not in DECORATION and color.lower() != "#ffffff"
    }
    assert len({color for _, color in found}) > 5
    assert [pair for pair in found if contrast(pair[1], "white") < GRAPHICS] == []


def test_text_in_figures_is_readable(axes: Axes) -> None:
    texts = [text for text in axes.figure.findobj(Text) if text.get_text().strip()]
    assert texts
    for text in texts:
        assert contrast(text.get_color(), _behind(text)) >= TEXT, text


def _behind(text: Text) -> Any:
    """Return what colour lies around the letters: an outline, or the figure's white."""
    for effect in text.get_path_effects():
        if isinstance(effect, withStroke):
            return effect._gc["foreground"]
    return "white"


def test_legends_tell_without_colour(axes: Axes) -> None:
    """Two entries of a legend differ in marker, dashes or hatch, so a grey print tells them."""
    legend = axes.get_legend()
    if legend is None:
        return  # words in the figure say it: a test of their own each
    looks = [_look(handle) for handle in legend.legend_handles]
    assert len(set(looks)) == len(looks), looks


def _look(handle: Any) -> tuple[Any, ...]:
    """Return how a legend's sign looks, its colour left out."""
    if isinstance(handle, Line2D):
        filled = str(handle.get_markerfacecolor()) != "none"
        return handle.get_linestyle(), handle.get_marker(), filled
    if isinstance(handle, Patch):
        return "patch", handle.get_hatch()
    return type(handle).__name__, str(handle.get_linestyles())


@pytest.mark.parametrize("ascii_only", [False, True])
def test_signs_tell_roles_of_one_trace_apart(ascii_only: bool) -> None:
    """A prefill and a pass without drafts share one: each is the target's token alone."""
    signs = {r: m.ascii_symbol if ascii_only else m.symbol for r, m in MARKS.items()}
    assert signs.pop("plain") == signs["prefill"]
    assert len(set(signs.values())) == len(signs)


@pytest.mark.parametrize("name", sorted(drawings()))
def test_figures_stay_english_and_their_alt_texts_do_not(name: str) -> None:
    with language.speaking("ja"):
        ax = drawings()[name]()
    assert not any(JAPANESE.search(text.get_text()) for text in ax.figure.findobj(Text))
    assert JAPANESE.search(ax.get_label())
    drawn = {word for text in ax.figure.findobj(Text) for word in WORD.findall(text.get_text())}
    assert english_words(ax.get_label()) <= drawn, "names that are drawn stand there as drawn"
    plt.close("all")


def test_a_figure_needs_an_alt_text() -> None:
    figure = plt.figure()
    with pytest.raises(ValueError, match="no alt text"):
        plots.show_figure(figure, " ")
    plt.close(figure)


def test_a_figure_is_shown_as_html_with_its_text_and_as_a_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    plots.show_figure(plt.figure(), "Nothing.")
    (data,) = shown
    assert data.keys() == {"text/html", "image/png", "text/plain"}
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert 'alt="Nothing."' in data["text/html"] and data["image/png"] in data["text/html"]
    assert data["text/plain"] == "Nothing."
