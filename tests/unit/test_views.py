"""Views and the viewer: every role by sign and word, in either language, and what they hide.

That no token adds an element to a page is held in `test_escaping`.
"""

import io
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
from selectolax.lexbor import LexborHTMLParser

from gemma_mtp_edu.analysis.tradeoff import Setting
from gemma_mtp_edu.checkup import Finding, Report
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.lessons import checks, language
from gemma_mtp_edu.lessons.checking import NOT_TRIED
from gemma_mtp_edu.show.views import MARKS, html_view, step_html, text_view
from gemma_mtp_edu.show.widgets import RoundViewer, TradeoffExplorer, summary_html
from tests.cases import beside
from tests.unit.test_replay import HAND

JAPANESE = re.compile("[぀-ヿ一-鿿]")
# In views only token text, signs and what figures call a role stay English.
WORD = re.compile(r"[A-Za-z]{4,}")
IN_FIGURES = {*MARKS, "alpha"}


def trace(text: str = " fox") -> GenerationTrace:
    """A prefill, a correction after one of two drafts, a bonus after both."""
    rounds = (
        RoundTrace(2, (), 0, 5, "prefill"),
        RoundTrace(3, (6, 7), 1, 8, "correction", (0.9, 0.4), (0.8, 0.1)),
        RoundTrace(5, (6, 7), 2, 9, "bonus", (0.9, 0.4), (0.8, 0.9)),
    )
    vocabulary = {5: "A", 6: text, 7: "\n", 8: "b", 9: "c"}
    ids = tuple(t for r in rounds for t in r.token_ids)
    return GenerationTrace((1, 2), ids, "", rounds, "length", vocabulary)


def read(page: str) -> tuple[str, list[str]]:
    """Return a page's text and the labels of its tokens."""
    tree = LexborHTMLParser(page)
    return tree.text(), [node.attributes["aria-label"] or "" for node in tree.css("[aria-label]")]


def english_words(text: str) -> set[str]:
    return set(WORD.findall(re.sub(r"<code.*?</code>|<[^>]*>", " ", text))) - IN_FIGURES


def test_text_names_every_role() -> None:
    text = text_view(trace())
    assert "[✓ ·fox] [✗ ↵] [▸ b]" in text
    for role in ("prefill", "accepted", "rejected", "correction", "bonus"):
        assert f"{role}: {MARKS[role].meaning}" in text
    assert "3 of 4 drafts accepted (75%)" in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "cp932", "utf-8"])
def test_a_console_shows_what_it_can(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`print` would raise where it lacks a letter; the signs are others where it lacks them."""
    console = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", console)
    shown = trace(" é狐"), text_view(trace(" é狐")), Report((Finding("é", "狐", "ok", "✓"),), 1.0)
    with language.speaking("ja"):
        print(*shown, text_view(trace()), sep="\n")
    console.flush()
    told = console.buffer.getvalue().decode(encoding)
    assert ("[✓ ·é狐]" if encoding == "utf-8" else "[+ ") in told
    assert (r"\xe9" if encoding in ("ascii", "cp932") else "é") in told
    assert ("狐" if encoding in ("utf-8", "cp932") else r"\u72d0") in told


def test_bytes_of_a_character_are_shown_each_and_read_together() -> None:
    texts = {1: "<0xE7>", 2: "<0x8B><0x90>", 3: " fox", 4: "<0xE7>x"}
    rounds = RoundTrace(1, (), 0, 3, "prefill"), RoundTrace(2, (1, 2), 2, 1, "bonus")
    seen = GenerationTrace((0,), (3, 1, 2, 1), "", rounds, "length", texts)
    assert list(seen.to_frame()["text"]) == [" fox", r"狐\xe7"]
    assert "[✓ <0xE7>] [✓ <0x8B><0x90>]" in text_view(seen)
    assert "·fox狐" in step_html(replace(seen, rounds=(*rounds, rounds[0])), 2)
    assert seen.text_of((4,)) == "<0xE7>x"


@pytest.mark.parametrize("view", [html_view, text_view])
def test_long_traces_are_counted_not_hidden(view: Callable[[GenerationTrace], str]) -> None:
    many = GenerationTrace((9,), (), "", trace().rounds * 20, "length", trace().vocabulary)
    assert "more rounds: 20" in view(many)


def test_labels_say_role_text_and_probabilities() -> None:
    labels = read(html_view(trace()))[1]
    assert labels[1:4] == [
        "accepted: ·fox, drafter 90%, target 80%",
        "rejected: ↵, drafter 40%, target 10%",
        "correction: b",
    ]
    with language.speaking("ja"):
        assert read(html_view(trace()))[1][1] == "受け入れ: ·fox、ドラフター 90%、ターゲット 80%"


def test_before_the_verdict_only_the_drafter_s_side_shows() -> None:
    text, labels = read(step_html(trace(), 1, revealed=False))
    assert labels == ["draft: ·fox, drafter 90%", "draft: ↵, drafter 40%"]
    assert "Guess first" in text
    assert "foxb" not in text, "the text so far must not hold the answer"
    assert "accepted" not in text and "8" not in text


def test_the_verdict_in_words() -> None:
    text, labels = read(step_html(trace(), 1))
    assert labels == read(html_view(trace()))[1][1:4]
    assert "1 of 2 accepted. The target corrects the first wrong draft to 'b'." in text
    assert "Tokens written in one target pass: 2." in text
    after = read(step_html(trace(), 2))[0]
    assert "adds 'c' as a bonus" in after and "text so far: A·foxb" in after


def test_moving_hides_the_verdict_and_stays_in_range() -> None:
    viewer = RoundViewer(trace())
    assert viewer.view.value == step_html(trace(), 1, revealed=False)
    viewer.reveal.value = True
    assert viewer.view.value == step_html(trace(), 1)
    for button, last in ((viewer.forward, 2), (viewer.back, 0)):
        for _ in range(4):
            button.click()
        assert viewer.view.value == step_html(trace(), last, revealed=False)
    assert RoundViewer(trace(), revealed=True).view.value == step_html(trace(), 1)


def test_a_notebook_shows_a_trace_as_html() -> None:
    """IPython knows the view by the name of the record's class."""
    code = beside(__file__, ".py.txt")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


# In Japanese.


def described(widget: object) -> list[str]:
    return [child.description for child in widget.children[0].children]


def test_a_viewer_keeps_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = RoundViewer(trace(), lang="ja")
    assert described(viewer) == ["ラウンド", "前のラウンド", "次のラウンド", "判定を見る"]
    monkeypatch.setenv(language.VARIABLE, "en")
    viewer.reveal.value = True
    viewer.forward.click()
    assert "ラウンド 2 / 2" in viewer.view.value
    assert english_words(viewer.view.value) == set()
    assert described(RoundViewer(trace()))[0] == "round"


def test_an_explorer_keeps_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(language.VARIABLE, "ja")
    explorer = TradeoffExplorer({"story": HAND}, 0.1)
    assert all(JAPANESE.search(control.description) for control in explorer.controls)
    monkeypatch.setenv(language.VARIABLE, "en")
    for kind in ("heuristic", "confidence", "oracle"):
        explorer.schedule.value = kind
        assert english_words(explorer.view.value) == {"story"}


PAGES: dict[str, Callable[[], str]] = {
    "html": lambda: html_view(trace()),
    "text": lambda: text_view(trace()),
    "prefill": lambda: step_html(trace(), 0),
    "correction": lambda: step_html(trace(), 1),
    "guess": lambda: step_html(trace(), 1, revealed=False),
    "bonus": lambda: step_html(trace(), 2),
    "outcome": lambda: summary_html(HAND, Setting()),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_told_in_japanese_and_say_so(name: str) -> None:
    with language.speaking("ja"):
        page = PAGES[name]()
    assert JAPANESE.search(page)
    assert english_words(page) == set()
    assert page.startswith("<div lang='ja' ") == page.startswith("<")
    assert " lang=" not in PAGES[name]()


def test_checks_reply_in_japanese(capsys: pytest.CaptureFixture[str]) -> None:
    with language.speaking("ja"):
        for needed in (lambda n, k: -(-n // k), lambda n, k: 1 - (1 - n) // k, lambda n, k: None):
            checks.passes_needed(needed)
    wrong, right, untried = capsys.readouterr().out.splitlines()
    assert wrong == (
        "(60, 5) に対する答えは 12 でした。"
        "プロンプトを読むのはどのパスで、そのとき何が得られますか?"
    )
    assert right == "正解です。"
    assert untried == language.catalogue("ja")[NOT_TRIED]
