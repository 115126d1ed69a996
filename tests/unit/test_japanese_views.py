"""What learners see with Japanese chosen: widgets, views, replies and descriptions, not figures."""

import re
from collections.abc import Callable, Iterator

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from matplotlib.text import Text

from gemma_mtp_edu.analysis.calibration import PassTimes
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons import checks, language
from gemma_mtp_edu.show import plots
from gemma_mtp_edu.show.report import verdict_text
from gemma_mtp_edu.show.views import html_view, step_html, text_view
from gemma_mtp_edu.show.widgets import RoundViewer, TradeoffExplorer, summary_html
from tests.unit.test_cost import make_cost
from tests.unit.test_replay import HAND
from tests.unit.test_step_view import trace

JAPANESE = re.compile("[぀-ヿ一-鿿]")
# In views only token text, signs and what figures call a role stay English.
WORD = re.compile(r"[A-Za-z]{4,}")
IN_FIGURES = {"draft", "accepted", "rejected", "correction", "bonus", "prefill", "plain", "alpha"}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def english_words(text: str) -> set[str]:
    return set(WORD.findall(re.sub(r"<code.*?</code>|<[^>]*>", " ", text))) - IN_FIGURES


def described(widget: object) -> list[str]:
    return [child.description for child in widget.children[0].children]


def test_a_viewer_keeps_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    viewer = RoundViewer(trace(), lang="ja")
    assert described(viewer) == ["ラウンド", "前のラウンド", "次のラウンド", "判定を見る"]
    monkeypatch.setattr(language, "_chosen", ["en"])
    viewer.reveal.value = True
    viewer.forward.click()
    assert "ラウンド 2 / 2" in viewer.view.value
    assert english_words(viewer.view.value) == set()
    assert described(RoundViewer(trace()))[0] == "round"


def test_an_explorer_keeps_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_chosen", ["ja"])
    explorer = TradeoffExplorer({"story": HAND}, 0.1)
    assert all(JAPANESE.search(control.description) for control in explorer.controls)
    language.use("en")
    for kind in ("heuristic", "confidence", "oracle"):
        explorer.schedule.value = kind
        assert english_words(explorer.view.value) == {"story"}


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("revealed", [True, False])
def test_rounds_are_told_in_japanese(index: int, revealed: bool) -> None:
    page = step_html(trace(), index, revealed=revealed, lang="ja")
    assert JAPANESE.search(page)
    assert english_words(page) == set()


@pytest.mark.parametrize("view", [html_view, text_view])
def test_a_trace_is_told_in_japanese(view: Callable[[GenerationTrace], str]) -> None:
    with language.speaking("ja"):
        text = view(trace())
    assert "ターゲットのパス" in text
    assert english_words(text) == set()


def test_an_ascii_view_is_english() -> None:
    with language.speaking("ja"):
        assert text_view(trace(), ascii_only=True) == text_view(trace(), ascii_only=True)
        assert "round   0" in text_view(trace(), ascii_only=True)


def test_labels_for_screen_readers_are_japanese() -> None:
    with language.speaking("ja"):
        labels = re.findall(r"aria-label='([^']*)'", html_view(trace(), max_rounds=2))
    assert labels[1] == "受け入れ: ·fox、ドラフター 90%、ターゲット 80%"


def test_what_is_japanese_on_an_english_page_says_so() -> None:
    with language.speaking("ja"):
        assert html_view(trace()).startswith("<div lang='ja' ")
    assert " lang=" not in html_view(trace())


def test_an_outcome_is_told_in_japanese() -> None:
    page = summary_html(HAND, Setting(), lang="ja")
    assert page.startswith("<div lang='ja' ")
    assert "ドラフト" in page
    assert english_words(page) == set()


def test_checks_reply_in_japanese(capsys: pytest.CaptureFixture[str]) -> None:
    with language.speaking("ja"):
        checks.passes_needed(lambda n, per_round: -(-n // per_round))
        checks.surest_mistake(1, trace())
        checks.surest_mistake(None, trace())
    wrong, right, untried = capsys.readouterr().out.splitlines()
    assert wrong == (
        "(60, 5) に対する答えは 12 でした。"
        "プロンプトを読むのはどのパスで、そのとき何が得られますか?"
    )
    assert right.startswith("正解です。ドラフターが 40% の確率を付けた")
    assert untried == language.catalogue("ja")[checks.NOT_TRIED]


def test_a_verdict_is_told_in_japanese() -> None:
    with language.speaking("ja"):
        costs = [make_cost(plain=plain) for plain in (2.0, 10.0, 60.0)]
        verdicts = [verdict_text(cost.verdict(HAND)) for cost in costs]
    for text in verdicts:
        assert "MTP" in text
        assert english_words(text) == set()


TIMES = PassTimes(lengths=(1, 2, 4), seconds=(1.0, 1.1, 1.3), context_length=64)
COST = make_cost()
OUTCOMES = {"a": {"b": outcome(HAND, Setting(), 0.1)}}
FIGURES: dict[str, Callable[[], Axes]] = {
    "rounds": lambda: plots.plot_rounds(trace()),
    "pass_times": lambda: plots.plot_pass_times(TIMES),
    "distributions": lambda: plots.plot_distributions(["x"], {"p": [1.0]}),
    "saved_and_wasted": lambda: plots.plot_saved_and_wasted(HAND, (1, 2)),
    "kept_by_place": lambda: plots.plot_kept_by_place({"a": HAND}),
    "lengths": lambda: plots.plot_lengths({"a": (1.0, 2.0)}),
    "schedules": lambda: plots.plot_schedules(OUTCOMES),
    "speedup_surface": lambda: plots.plot_speedup_surface(0.1, alpha=0.5, gamma=2),
    "expected_tokens": lambda: plots.plot_expected_tokens((0.5,)),
    "round_costs": lambda: plots.plot_round_costs(COST, (1, 2)),
    "predictions": lambda: plots.plot_predictions({"a": {"b": 1.5}}),
    "runs": lambda: plots.plot_runs({"a": (3.0, 1.0, 2.0)}),
    "scenarios": lambda: plots.plot_scenarios({"a": 2.0, "b": 0.5, "c": 1.0}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_stay_english_and_their_alt_texts_do_not(name: str) -> None:
    with language.speaking("ja"):
        ax = FIGURES[name]()
    texts, alt = [text.get_text() for text in ax.figure.findobj(Text)], ax.get_label()
    assert any(texts)
    assert [text for text in texts if JAPANESE.search(text)] == []
    assert JAPANESE.search(alt)
    assert english_words(alt) == set()
