"""The figure of rounds: every role in words, a correction below the draft that it replaces."""

from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes
from PIL import Image

from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.show.plots import describe_rounds, plot_rounds
from gemma_mtp_edu.show.views import MARKS
from tests.cases import tables
from tools import figures

TEXTS = {0: "Once", 1: " a", 2: "<b>", 3: '"', 4: "\n", 5: "日", 6: "a" * 40}
ROUNDS = (
    RoundTrace(1, (), 0, 0, "prefill"),
    RoundTrace(2, (1, 2, 3, 4), 1, 5, "correction"),
    RoundTrace(4, (1, 2), 2, 6, "bonus"),
    RoundTrace(7, (1, 2), 0, 3, "correction"),
    RoundTrace(8, (), 0, 1, "plain"),
    RoundTrace(9, (1, 2, 3), 2, None, "none"),
)
TRACE = GenerationTrace((9,), (0, 1), "", ROUNDS, "eos", TEXTS, {
    "pair": "pocket", "dtype": "float32", "device": "cpu", "transformers": "5.22.2"})  # fmt: skip


@pytest.fixture
def ax() -> Axes:
    ax = plot_rounds(TRACE)
    yield ax
    plt.close(ax.figure)


def place_of(ax: Axes, text: str) -> list[tuple[float, float]]:
    """Return column and lane of each box that says `text`."""
    return [(int(t.get_position()[0]), round(t.get_position()[1])) for t in ax.texts
            if t.get_text() == text]  # fmt: skip


def test_every_role_stands_there_as_sign_and_word(ax: Axes) -> None:
    words = {t.get_text() for t in ax.texts}
    assert {f"{mark.symbol} {role}" for role, mark in MARKS.items() if role != "draft"} <= words


def test_a_correction_stands_below_the_first_rejected_draft(ax: Axes) -> None:
    # Lanes: prefill 0; round 1 has 1 and 2, round 2 has 3 and 4, round 3 has 5 and 6.
    assert place_of(ax, "▸ correction") == [(1, 2), (0, 6)]
    assert place_of(ax, "✗ rejected")[:3] == [(1, 1), (2, 1), (3, 1)]
    assert place_of(ax, "★ bonus") == [(2, 4)]


def test_lanes_say_what_is_proposed_kept_and_added(ax: Axes) -> None:
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == tables(__file__)["lanes"]


def test_texts_fit_and_unknown_signs_are_escaped(ax: Axes) -> None:
    words = [t.get_text() for t in ax.texts]
    assert "\\u65e5" in words
    assert "a" * 9 + ".." in words
    assert "↵" in words


def test_the_description_tells_every_round() -> None:
    told = plot_rounds(TRACE).get_label()
    assert told == describe_rounds(TRACE)
    assert "Round 0: prefill 'Once'." in told
    assert (
        "Round 1: accepted '·a', rejected '<b>', rejected '\"', rejected '↵', correction '日'."
        in told
    )
    assert f"Round 2: accepted '·a', accepted '<b>', bonus '{TEXTS[6]}'. Round 3: rejected" in told
    assert "Round 4: plain '·a'. Round 5: accepted '·a', accepted '<b>', dropped '\"'." in told


def test_the_picture_shows_the_first_rounds_with_every_role(tmp_path: Path) -> None:
    assert figures.telling_rounds(TRACE, 2) == 1
    figures.picture(TRACE, tmp_path / "new" / "round.png")
    assert Image.open(tmp_path / "new" / "round.png").width > 600


def test_a_trace_that_shows_too_little_is_refused() -> None:
    dull = GenerationTrace((9,), (0,), "", (ROUNDS[0], *ROUNDS[2:3] * 4), "eos", TEXTS)
    with pytest.raises(ValueError, match="choose another PROMPT"):
        figures.telling_rounds(dull, 3)


def test_the_alt_text_is_made_from_the_trace_and_escaped() -> None:
    shown = figures.picture_markdown(TRACE)
    alt = shown.split('alt="')[1].split('"')[0]
    assert "accepted '·a', rejected '&lt;b&gt;', rejected '&quot;'" in alt
    assert "<b>" not in shown
    assert "Rounds 1 to 3" in shown and "float32, CPU, transformers 5.22.2" in shown
