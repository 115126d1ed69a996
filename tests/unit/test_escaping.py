"""Whatever a token, a prompt or a name says: a page has the elements of its template and no other.

Read by lexbor, which builds the tree that the HTML standard prescribes, as a browser does.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from gemma_mtp_edu.analysis.tradeoff import Setting
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.show.plots import describe_rounds, plot_rounds
from gemma_mtp_edu.show.style import figure_html
from gemma_mtp_edu.show.views import html_view, step_html, text_view, visible
from gemma_mtp_edu.show.widgets import RoundViewer, TradeoffExplorer, summary_html
from tests.cases import tables
from tests.unit.test_profile import HAND
from tests.unit.test_views import trace

HOSTILE = tables(__file__)["hostile"]
texts = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet=st.sampled_from("<>\"'&/=;!-` abiscript{}$%"), min_size=1, max_size=30),
    st.text(min_size=1),
)
# Attributes whose value is what somebody wrote; all others must be the template's.
SPOKEN = {"alt", "aria-label", "title"}


def tree(page: str) -> list[tuple[int, str, dict[str, str | None]]]:
    """Return a page's elements with depth, name and attributes, without the texts."""
    found: list[tuple[int, str, dict[str, str | None]]] = []

    def walk(node: LexborNode, depth: int) -> None:
        if node.tag and not node.tag.startswith("-"):
            values = {k: None if k in SPOKEN else v for k, v in node.attributes.items()}
            found.append((depth, node.tag, values))
        elif node.tag == "-comment":
            found.append((depth, "comment", {}))
        for child in node.iter(include_text=True):
            walk(child, depth + 1)

    root = LexborHTMLParser(page).root
    assert root is not None
    walk(root, 0)
    return found


def words(page: str) -> str:
    """Return all that a page says, in text and in attributes that are read out."""
    parser = LexborHTMLParser(page)
    spoken = [node.attributes.get(name) or "" for node in parser.css("*") for name in SPOKEN]
    return "\n".join([parser.text(separator=""), *spoken])


def trace_of(text: str) -> GenerationTrace:
    made, more = trace(), RoundTrace(8, (), 0, 6, "plain")
    rounds, ids = (*made.rounds, more), (*made.token_ids, *more.token_ids)
    spoken = dict.fromkeys((5, 6, 7, 8, 9), text)
    return replace(made, rounds=rounds, token_ids=ids, text=text, vocabulary=spoken)


def profile_of(text: str) -> Any:
    return replace(HAND, vocabulary=dict.fromkeys((1, 5, 6, 7, 8, 9), text))


def alt_of(text: str) -> str:
    figure = plt.figure(figsize=(0.3, 0.3))
    return figure_html(figure, describe_rounds(trace_of(text)))


# What makes a page of a text, and whether the page must say the text as it is shown.
PAGES: dict[str, Callable[[str], str]] = {
    "trace": lambda text: html_view(trace_of(text)),
    "step": lambda text: step_html(trace_of(text), 2),
    "step, in Japanese": lambda text: step_html(trace_of(text), 1, lang="ja"),
    "step, not revealed": lambda text: step_html(trace_of(text), 1, revealed=False),
    "round viewer": lambda text: RoundViewer(trace_of(text), revealed=True).view.value,
    "trade-off": lambda text: summary_html(profile_of(text), Setting(), workload=text),
    "table of rounds": lambda text: trace_of(text).to_frame()._repr_html_(),
}
SLOW_PAGES: dict[str, Callable[[str], str]] = {
    "explorer": lambda text: TradeoffExplorer({text: profile_of(text)}).view.value,
    "figure": alt_of,
}
BENIGN = "word"


@pytest.mark.parametrize("name", PAGES)
@given(texts)
def test_no_text_changes_the_tree(name: str, text: str) -> None:
    assert tree(PAGES[name](text)) == tree(PAGES[name](BENIGN))


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", SLOW_PAGES)
def test_no_hostile_text_changes_a_larger_page(name: str, text: str) -> None:
    pages = [tree(SLOW_PAGES[name](it)) for it in (text, BENIGN)]
    assert _without_pictures(pages[0]) == _without_pictures(pages[1])


def _without_pictures(elements: list[Any]) -> list[Any]:
    """Leave the data of pictures out: they draw other letters. From elsewhere none may come."""
    sources = [values["src"] for _, _, values in elements if "src" in values]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    return [
        (depth, tag, {k: v for k, v in values.items() if k != "src"})
        for depth, tag, values in elements
    ]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["trace", "step", "trade-off"])
def test_hostile_texts_are_said_as_they_are(name: str, text: str) -> None:
    assert visible(text) in words(PAGES[name](text))


@pytest.mark.parametrize("page", ["<b>x</b><script>1</script>", "<b onclick=x>x</b>", "<b>x<!--"])
def test_the_check_sees_what_is_added(page: str) -> None:
    assert tree(page) != tree("<b>x</b>")


@pytest.mark.parametrize("text", HOSTILE)
def test_figures_draw_any_text(text: str) -> None:
    """As letters, never as a formula that cannot be set."""
    ax = plot_rounds(trace_of(text))
    ax.figure.canvas.draw()
    plt.close(ax.figure)


@given(st.text())
def test_nothing_shown_commands_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    lines = text_view(trace_of(text)).splitlines()
    assert sum(line.startswith("round") for line in lines) == 4, "one line for each round"
