"""Views: every role by symbol and word, and nothing from a model reaches the page unescaped."""

import subprocess
import sys
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.show.style import show_figure
from gemma_mtp_edu.show.views import MARKS, html_view, text_view, visible

ALLOWED_TAGS = {"div", "p", "b", "table", "thead", "tbody", "tr", "th", "td", "span"}


def trace_of(*texts: str) -> GenerationTrace:
    """A prefill, then a round that accepts all drafts but the last and corrects that one."""
    ids = tuple(range(len(texts)))
    record = RoundTrace(
        1, ids, len(ids) - 1, 0, "correction", (0.5,) * len(ids), (0.25,) * len(ids)
    )
    first = RoundTrace(0, (), 0, 0, "prefill")
    return GenerationTrace((9,), (0, *record.token_ids), "", (first, record), "eos",
                           dict(enumerate(texts)))  # fmt: skip


class Tags(HTMLParser):
    """Collects the tags and labels of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.labels: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        names = dict(attrs)
        assert not any(name.startswith("on") for name in names)
        if "aria-label" in names:
            self.labels.append(names["aria-label"] or "")


def test_text_names_every_role() -> None:
    text = text_view(trace_of(" a", " b"))
    assert "[✓ ·a] [✗ ·b] [▸ ·a]" in text
    for role in ("prefill", "accepted", "rejected", "correction"):
        assert f"{role}: {MARKS[role].meaning}" in text
    assert "1 of 2 drafts accepted (50%)" in text


def test_ascii_view_is_ascii_and_still_tells_roles_apart() -> None:
    text = text_view(trace_of(" é", " b"), ascii_only=True)
    assert text.isascii()
    # An unjudged, an accepted and a rejected draft, the bonus; three kinds of target token share.
    assert len({mark.ascii_symbol for mark in MARKS.values()}) == 6


def test_long_traces_are_counted_not_hidden() -> None:
    trace = trace_of("a", "b")
    many = GenerationTrace((9,), (), "", trace.rounds * 30, "length", trace.vocabulary)
    assert "and 20 more rounds" in text_view(many)
    assert "and 20 more rounds" in html_view(many)


def test_labels_say_role_text_and_probabilities() -> None:
    labels = Tags(html_view(trace_of(" a", " b"))).labels
    assert "accepted: ·a, drafter 50%, target 25%" in labels
    assert "rejected: ·b, drafter 50%, target 25%" in labels


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_no_token_can_add_markup(texts: list[str]) -> None:
    assert Tags(html_view(trace_of(*texts))).tags <= ALLOWED_TAGS


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "' onfocus='x", '"><img src=x>'])
def test_hostile_tokens_show_as_text(text: str) -> None:
    page = Tags(html_view(trace_of(text)))
    assert page.tags <= ALLOWED_TAGS
    assert any(visible(text) in label for label in page.labels)


def test_a_figure_needs_an_alt_text() -> None:
    figure = plt.figure()
    with pytest.raises(ValueError, match="no alt text"):
        show_figure(figure, " ")
    plt.close(figure)


def test_a_notebook_shows_a_trace_as_html() -> None:
    """By its own code: IPython knows the view by the name of the record's class."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "import gemma_mtp_edu\n"
        "from tests.unit.test_views import trace_of\n"
        "from gemma_mtp_edu.show.views import html_view\n"
        "shown = shell.display_formatter.format(trace_of(' a', ' b'))[0]\n"
        "print(shown['text/html'] == html_view(trace_of(' a', ' b')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
