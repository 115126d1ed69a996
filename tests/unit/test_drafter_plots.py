"""Figures of the drafter's inside, without any weights, and of cost: drawings and alt texts."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.patches import FancyBboxPatch
from transformers import Gemma4AssistantConfig, Gemma4TextConfig

from gemma_mtp_edu import ModelPair
from gemma_mtp_edu.analysis.ablation import AblationResult
from gemma_mtp_edu.show import plots
from tests.cases import tables


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def e2b(*, clusters: bool = True) -> tuple[Gemma4TextConfig, Gemma4AssistantConfig]:
    """Return configurations of the real pair's shapes."""
    target, own = (
        Gemma4TextConfig(**tables(__file__)[f"E2B's {n}"]) for n in ("target", "drafter")
    )
    drafter = Gemma4AssistantConfig(
        text_config=own, backbone_hidden_size=1536, use_ordered_embeddings=clusters
    )
    return target, drafter


def words(ax: Any) -> str:
    ax.figure.draw_without_rendering()
    return "\n".join(text.get_text() for text in ax.texts)


def test_the_diagram_of_e2b_needs_its_configuration_only() -> None:
    drawn = words(plots.plot_drafter(*e2b()))
    for fact in tables(__file__)["facts"]:
        assert fact in drawn


def test_the_diagram_in_words() -> None:
    text = plots.plot_drafter(*e2b()).get_label()
    assert "after the final RMSNorm, 1,536 numbers each, are joined and projected to 256" in text
    assert "(3 sliding, 1 full) read keys and values of the target's layer 14 (full)" in text
    assert "best 32 of 2,048 clusters: 4,096 of 262,144 tokens scored" in text
    assert "to 1,536 gives the next step's hidden state; its newest token is the draft." in text
    dense = plots.plot_drafter(*e2b(clusters=False)).get_label()
    assert "dense head: all 262,144 tokens scored" in dense and "clusters" not in dense


def arrows(ax: Any) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Return start and end of every arrow."""
    return [(note.xyann, note.xy) for note in ax.texts if getattr(note, "arrowprops", None)]


def test_arrows_lead_from_the_layers_that_the_drafter_reads() -> None:
    """E2B: layer 14 (full) to its drafter's layer 3, layer 13 (sliding) to layer 0."""
    pair = object.__new__(ModelPair)  # without weights
    for name, config in zip(("target", "drafter"), e2b(), strict=True):
        object.__setattr__(pair, name, SimpleNamespace(config=config))
    ax = plots.plot_layers(pair)
    ways = [(start[0], end[0]) for start, end in arrows(ax)]
    assert sorted(ways[:2]) == [(13, 0), (14, 3)]
    assert "hidden state after the final RMSNorm" in words(ax)


def test_the_idea_leads_each_prediction_to_the_draft_that_it_verifies() -> None:
    ax = plots.plot_idea()
    diagonal = [(start[0], end[0]) for start, end in arrows(ax) if start[0] != end[0]]
    assert [int(end) - int(start) for start, end in diagonal] == [1] * 5
    assert words(ax).count("accepted") == 2 and "correction" in words(ax)


def test_the_diagram_leads_from_each_box_to_the_next() -> None:
    """Upwards: projection in, sliding layers, full layer, head and projection out, draft."""
    ax = plots.plot_drafter(*e2b())
    boxes = [p.get_bbox() for p in ax.patches if isinstance(p, FancyBboxPatch)]

    def box_at(x: float, y: float) -> Any:
        near = [b for b in boxes if b.x0 <= x <= b.x1 and b.y0 - 0.06 <= y <= b.y1 + 0.06]
        assert len(near) == 1, (x, y)
        return near[0]

    ways = [(start, end) for start, end in arrows(ax) if start[0] == end[0]]
    assert len(ways) == 6
    assert all(box_at(*start).y1 < box_at(*end).y0 for start, end in ways)


def test_draft_and_state_lead_back_to_the_input() -> None:
    ax = plots.plot_drafter(*e2b())
    given, *dashed = [line.get_xydata() for line in ax.lines]
    ends = [tuple(line[-1]) for line in dashed]
    assert len(ends) == 2 and set(ends) <= {start for start, _ in arrows(ax)}
    drawn = words(ax)
    assert "draft: newest token of the next step" in drawn
    assert "hidden state of the next step" in drawn
    # The target's state leads round its column to the input, below every other arrow.
    assert tuple(given[-1]) in {start for start, _ in arrows(ax)}
    others = [start for start, _ in arrows(ax) if start != tuple(given[-1])]
    assert given[1][0] < 0.2 and given[2][1] < min(y for _, y in others)
    (state, draft) = dashed
    assert draft[1][0] > state[1][0] and draft[-1][1] < state[-1][1]  # so they never cross


def test_no_word_of_the_diagram_leaves_its_box() -> None:
    ax = plots.plot_drafter(*e2b())
    ax.figure.draw_without_rendering()
    boxes = [p.get_window_extent() for p in ax.patches]
    shown = [text for text in ax.texts if text.get_text() and text.get_weight() != "bold"]
    inside = 0
    for text in shown:
        x, y = ax.transData.transform(text.get_position())
        extent = text.get_window_extent()
        around = [box for box in boxes if box.contains(x, y)]
        if around:  # the smallest frame around a word's middle is its own
            own = min(around, key=lambda box: box.width * box.height)
            assert own.x0 <= extent.x0 and extent.x1 <= own.x1, text.get_text()
            inside += own.height < 200
    assert inside >= 9


# One sliding layer that sees two tokens, and a full one that sees three.
NAMES = ["<s>", " a", "b"]
KINDS = ["sliding_attention", "full_attention"]
WEIGHTS = [torch.tensor([[0.25, 0.75], [0.5, 0.5]]), torch.tensor([[0.7, 0.1, 0.2], [0.9, 0.1, 0]])]


def test_attention_is_drawn_at_the_tokens_it_belongs_to() -> None:
    ax = plots.plot_attention(WEIGHTS, KINDS, NAMES)
    rows = ax.images[0].get_array()
    wanted = [[0, 0.25, 0.75], [0, 0.5, 0.5], [0.7, 0.1, 0.2], [0.9, 0.1, 0]]
    assert rows.tolist() == [pytest.approx(row) for row in wanted]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["<s>", "·a", "b"]
    heads = [
        f"layer {n} {kind}, head {i}" for n, kind in enumerate(("sliding", "full")) for i in (0, 1)
    ]
    assert [label.get_text() for label in ax.get_yticklabels()] == heads
    assert ax.get_title() == "100% of all attention goes to the last 3 tokens"


def test_what_lies_before_the_tokens_drawn_is_summed() -> None:
    ax = plots.plot_attention(WEIGHTS, KINDS, NAMES, count=1)
    rows = ax.images[0].get_array()
    wanted = [[0.25, 0.75], [0.5, 0.5], [0.8, 0.2], [1.0, 0.0]]
    assert rows.tolist() == [pytest.approx(row) for row in wanted]
    assert rows.sum(1).tolist() == pytest.approx([1] * 4)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["earlier", "b"]
    assert ax.images[0].get_clim() == (0, 1), "one colour is one share in every map"
    assert "root scale" in ax.figure.axes[1].get_ylabel()
    assert ax.get_title() == "36% of all attention goes to the last 1 tokens"


def test_attention_in_words() -> None:
    text = plots.plot_attention(WEIGHTS, KINDS, NAMES).get_label()
    assert "over the last 3 tokens." in text
    assert text.endswith("layer 0 (sliding): 'b', 1 back 62%; layer 1 (full): '<s>', 3 back 80%.")
    # Only tokens that are drawn are named.
    text = plots.plot_attention(WEIGHTS, KINDS, NAMES, count=2).get_label()
    assert "layer 0 (sliding): 'b', 1 back 62%, earlier 0%" in text
    assert "layer 1 (full): '·a', 2 back 10%, earlier 80%" in text
    assert "<s>" not in text


WHOLE = AblationResult("as is", (0.8, 0.6), (0.8, 0.6), 10)
OLD = AblationResult("hidden state not fed back", (0.8, 0.25), (0.8, 0.6), 10)
MOVED = AblationResult("advancing positions", (0.8, 0.5), (0.8, 0.6), 10)
BLIND = AblationResult("no hidden state", (0.25, 0.05), (0.8, 0.6), 10)
RESULTS = (WHOLE, OLD, MOVED, BLIND)


def test_a_draft_s_number_stands_at_its_share() -> None:
    ax = plots.plot_ablations(RESULTS)
    numbers = [(text.get_text(), text.get_position()) for text in ax.texts]
    wanted = [(str(n), (share, row)) for row, result in enumerate(RESULTS)
              for n, share in enumerate(result.kept, 1)]  # fmt: skip
    assert numbers == wanted
    marks = [points.get_offsets().tolist() for points in ax.collections]
    assert [share for share, _ in marks[0]] == list(WHOLE.as_is), "the whole drafter in each row"
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == [f"{r.part}  ({r.mean_kept:.2f} kept)" for r in RESULTS]
    assert ax.get_title() == "Worst: no hidden state, 0.30 drafts kept of 2"
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["the whole drafter", "draft of this number, with the change"]
    text = ax.get_label()
    assert "as is: draft 1 0.80, draft 2 0.60, in all 1.40, whole drafter 1.40" in text
    assert "fed back: draft 1 0.80, draft 2 0.25, in all 1.05, whole drafter 1.40" in text


# Of the lessons on cost.


def test_lines_are_drawn_as_told() -> None:
    lines = {"one": {n: n / 2 for n in range(4)}, "two": {n: 1.0 for n in range(12)}}
    ax = plots.lines_chart(lines, "steps", "speed", {"plain": 1.0})
    assert list(ax.lines[0].get_ydata()) == [0.0, 0.5, 1.0, 1.5]
    assert ax.get_ylim() == pytest.approx((0, 1.575)), "room for the topmost marker"
    assert len({line.get_linestyle() for line in ax.lines}) == 3
    alt = ax.get_label()
    assert alt.startswith("Chart of 'speed' by 'steps'. one: 0.00 at 0, 0.50 at 1, ")
    assert alt.endswith("two: 1.00 at 0, 1.00 at 6, 1.00 at 11; lines across: plain 1.00.")


def test_predictions_stand_beside_what_was_measured() -> None:
    speedups = {"a": {"measured": 1.5, "predicted": 1.4}, "b": {"measured": 0.9, "predicted": 1.0}}
    ax = plots.plot_speeds(speedups)
    drawn = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert drawn["measured"] == [1.5, 0.9]
    assert drawn["predicted"] == [1.4, 1.0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
    assert ax.get_label().endswith(
        "a: measured 1.50, predicted 1.40; b: measured 0.90, predicted 1.00."
    )
