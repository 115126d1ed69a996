"""Figures of the drafter's inside without any weights, and the checkers of their lesson."""

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
from gemma_mtp_edu.analysis.inside import DraftStep, LayerView
from gemma_mtp_edu.show import plots
from tests.cases import tables

ONE_KV = {"num_key_value_heads": 1, "head_dim": 256, "global_head_dim": 512}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def e2b(*, clusters: bool = True) -> tuple[Gemma4TextConfig, Gemma4AssistantConfig]:
    """Return configurations of the real pair's shapes."""
    target = Gemma4TextConfig(
        hidden_size=1536,
        num_hidden_layers=35,
        layer_types=(["sliding_attention"] * 4 + ["full_attention"]) * 7,
        num_kv_shared_layers=20,
        **ONE_KV,
    )
    own = Gemma4TextConfig(
        hidden_size=256,
        num_hidden_layers=4,
        layer_types=["sliding_attention"] * 3 + ["full_attention"],
        num_attention_heads=4,
        hidden_size_per_layer_input=0,
        vocab_size_per_layer_input=0,
        **ONE_KV,
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
    assert "last hidden state, 1,536 numbers each, are joined and projected to 256" in text
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
    dashed = [line.get_xydata() for line in ax.lines]
    ends = [tuple(line[-1]) for line in dashed]
    assert len(ends) == 2 and set(ends) <= {start for start, _ in arrows(ax)}
    drawn = words(ax)
    assert "draft: newest token of the next step" in drawn
    assert "hidden state of the next step" in drawn
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


def make_step(position: int = 3) -> DraftStep:
    """A step with one sliding layer that sees two tokens, and a full one that sees three."""
    empty = torch.zeros(1)

    def layer(kind: str, weights: list[list[float]], first: int) -> LayerView:
        shares = torch.tensor(weights)
        heads, n_keys = shares.shape
        return LayerView(kind, torch.zeros(heads, 4), torch.zeros(1, n_keys, 4), shares, first)

    layers = (
        layer("sliding", [[0.25, 0.75], [0.5, 0.5]], 1),
        layer("full", [[0.7, 0.1, 0.2], [0.9, 0.1, 0.0]], 0),
    )
    return DraftStep(0, position, empty, empty, empty, empty, layers, empty, empty,
                     (4, 2), 7, 7, 2)  # fmt: skip


NAMES = ["<s>", " a", "b", "\n"]


def test_attention_is_drawn_at_the_tokens_it_belongs_to() -> None:
    ax = plots.plot_attention(make_step(), NAMES)
    rows = ax.images[0].get_array()
    wanted = [[0, 0.25, 0.75], [0, 0.5, 0.5], [0.7, 0.1, 0.2], [0.9, 0.1, 0]]
    assert rows.tolist() == [pytest.approx(row) for row in wanted]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["<s>", "·a", "b"]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "layer 0\nsliding",
        "layer 1\nfull",
    ]


def test_what_lies_before_the_tokens_drawn_is_summed() -> None:
    ax = plots.plot_attention(make_step(), NAMES, count=1)
    rows = ax.images[0].get_array()
    wanted = [[0.25, 0.75], [0.5, 0.5], [0.8, 0.2], [1.0, 0.0]]
    assert rows.tolist() == [pytest.approx(row) for row in wanted]
    assert rows.sum(1).tolist() == pytest.approx([1] * 4)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["earlier", "b"]
    assert ax.images[0].get_clim() == (0, 1), "one colour is one share in every map"


def test_attention_in_words() -> None:
    text = plots.plot_attention(make_step(), NAMES).get_label()
    assert "over the last 3 tokens before '↵'" in text
    assert text.endswith("layer 0 (sliding): 'b', 1 back 62%; layer 1 (full): '<s>', 3 back 80%.")
    # Only tokens that are drawn are named.
    text = plots.plot_attention(make_step(), NAMES, count=2).get_label()
    assert "over the last 2 tokens before '↵'" in text
    assert "layer 0 (sliding): 'b', 1 back 62%, earlier 0%" in text
    assert "layer 1 (full): '·a', 2 back 10%, earlier 80%" in text
    assert "<s>" not in text


WHOLE = AblationResult("as is", (0.8, 0.6), (0.8, 0.6), 10)
OLD = AblationResult("hidden state not fed back", (0.8, 0.25), (0.8, 0.6), 10)
MOVED = AblationResult("advancing positions", (0.8, 0.5), (0.8, 0.6), 10)
BLIND = AblationResult("no hidden state", (0.25, 0.05), (0.8, 0.6), 10)
RESULTS = (WHOLE, OLD, MOVED, BLIND)


def test_bars_are_as_long_as_the_drafts_kept() -> None:
    ax = plots.plot_ablations(RESULTS)
    ends: dict[float, float] = {}
    for bar in ax.patches:
        row = bar.get_y() + bar.get_height() / 2
        ends[row] = max(ends.get(row, 0), bar.get_x() + bar.get_width())
    assert list(ends.values()) == pytest.approx([r.mean_kept for r in RESULTS])
    assert [line.get_xdata()[0] for line in ax.lines] == pytest.approx([1.4] * 4)
    assert [label.get_text() for label in ax.get_yticklabels()] == [r.part for r in RESULTS]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["draft 1", "draft 2", "whole drafter, same places"]
    text = ax.get_label()
    assert "as is: draft 1 0.80, draft 2 0.60, in all 1.40, whole drafter 1.40" in text
    assert "fed back: draft 1 0.80, draft 2 0.25, in all 1.05, whole drafter 1.40" in text
