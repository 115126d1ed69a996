"""One round as HTML, and the widget over it: what it says, what it hides, what it escapes."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.show.views import step_html
from gemma_mtp_edu.show.widgets import RoundViewer


def trace(text: str = " fox") -> GenerationTrace:
    rounds = (
        RoundTrace(2, (), 0, 5, "prefill"),
        RoundTrace(3, (6, 7), 1, 8, "correction", (0.9, 0.4), (0.8, 0.1)),
        RoundTrace(5, (6, 7), 2, 9, "bonus", (0.9, 0.4), (0.8, 0.9)),
    )
    vocabulary = {5: "A", 6: text, 7: "\n", 8: "b", 9: "c"}
    ids = tuple(t for r in rounds for t in r.token_ids)
    return GenerationTrace((1, 2), ids, "", rounds, "length", vocabulary)


class Reader(HTMLParser):
    """Collects tags and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.labels: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.labels += [value or "" for name, value in attrs if name == "aria-label"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_before_the_verdict_only_the_drafter_s_side_shows() -> None:
    page = Reader(step_html(trace(), 1, revealed=False))
    assert page.labels == ["draft: ·fox, drafter 90%", "draft: ↵, drafter 40%"]
    assert "Guess first" in page.text
    assert "foxb" not in page.text, "the text so far must not hold the answer"
    assert "accepted" not in page.text and "8" not in page.text


def test_the_verdict_in_words() -> None:
    page = Reader(step_html(trace(), 1))
    assert page.labels == [
        "accepted: ·fox, drafter 90%, target 80%",
        "rejected: ↵, drafter 40%, target 10%",
        "correction: b",
    ]
    assert "1 of 2 accepted. The target corrects the first wrong draft to 'b'." in page.text
    assert "2 tokens in one target pass" in page.text
    assert "adds 'c' as a bonus" in Reader(step_html(trace(), 2)).text
    assert "text so far: A·foxb" in Reader(step_html(trace(), 2)).text


@given(st.text())
def test_token_text_never_becomes_markup(text: str) -> None:
    tags = {tag for i in range(3) for tag in Reader(step_html(trace(text), i)).tags}
    assert tags <= {"div", "p", "b", "code", "span"}


def test_moving_hides_the_verdict_and_stays_in_range() -> None:
    viewer = RoundViewer(trace())
    assert viewer.round.value == 1
    assert viewer.view.value == step_html(trace(), 1, revealed=False)
    viewer.reveal.value = True
    assert viewer.view.value == step_html(trace(), 1)
    for _ in range(4):
        viewer.forward.click()
    assert viewer.round.value == 2
    assert viewer.view.value == step_html(trace(), 2, revealed=False)
    for _ in range(4):
        viewer.back.click()
    assert viewer.view.value == step_html(trace(), 0, revealed=False)
    assert RoundViewer(trace(), revealed=True).view.value == step_html(trace(), 1)
