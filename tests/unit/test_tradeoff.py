"""The trade-off: costs, outcomes, the explorer against replays."""

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemma_mtp_edu.analysis.cost import CostModel, round_cost
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.tradeoff import (
    BoundedHeuristic,
    Kind,
    Setting,
    outcome,
)
from gemma_mtp_edu.core.schedules import Constant, LastRound
from gemma_mtp_edu.show import plots
from gemma_mtp_edu.show.widgets import TradeoffExplorer, setting_words, summary_html
from tests.unit.test_profile import make_profile, profiles

KINDS = get_args(Kind)
HAND = make_profile((5, 6, 7, 8), ((6, 7, 9), (1, 8, 9), (8, 8, 8)))
EASY = make_profile(
    tuple(range(12)), tuple(tuple(range(i, i + 4)) for i in range(1, 12)), max_new_tokens=12
)
HARD = make_profile(tuple(range(12)), ((99,) * 4,) * 11, max_new_tokens=12)
MACHINE = CostModel((64,), (1, 2, 5), (2.0,), ((1.8, 2.0, 2.6),), (0.4,), (0.2,))


def test_hand_worked_outcome() -> None:
    """Two drafts a round: 6 7 and the bonus 8; one round for three tokens, nothing wasted.

    The rounds cost 1 + 2 * 0.5 = 2 plain passes, so the speed is 3 / 2.
    """
    result = outcome(HAND, Setting("constant", 2), 0.5)
    assert (result.cost, result.best_cost) == (2.0, 2.0)
    assert result.speedup == result.best_speedup == 1.5
    assert result.share_of_best == 1.0
    one = outcome(HAND, Setting("constant", 1), 0.5)
    assert one.cost == 2 * 1 + 0.5  # the last round may draft nothing: the limit is near


def test_machine_costs() -> None:
    """Two drafts: two steps of 0.4 s, a pass of 2.2 s over 3 tokens and 0.2 s, by 2 s."""
    assert round_cost(MACHINE)(2) == pytest.approx((0.8 + 2.2 + 0.2) / 2.0)
    assert round_cost(MACHINE, 0.0)(2) == pytest.approx(1.2)
    assert outcome(EASY, Setting("constant", 9), MACHINE).trace == replay(EASY, Constant(4))


@settings(max_examples=50)
@given(profiles(), st.sampled_from(KINDS), st.integers(1, 5), st.floats(0, 1))
def test_no_setting_beats_the_best(
    profile: AcceptanceProfile, kind: str, length: int, ratio: float
) -> None:
    result = outcome(profile, Setting(kind, length), ratio)
    assert result.cost >= result.best_cost - 1e-9
    assert 0 < result.share_of_best <= 1 + 1e-9
    assert result.trace.token_ids == profile.token_ids


def test_bound_and_names() -> None:
    assert BoundedHeuristic(4, 5).gamma(6, LastRound(4, 4, 4)) == 5
    assert (
        max(len(r.draft_ids) for r in outcome(EASY, Setting("heuristic", 4), 0.1).trace.rounds) == 4
    )
    words = setting_words(Setting("confidence", threshold=0.25))
    assert words == "confidence, until a draft is below 25%"


@pytest.mark.parametrize("cost", [0.1, MACHINE], ids=["ratio", "machine"])
def test_every_control_shows_the_replay(cost: CostModel | float) -> None:
    """Whatever is moved, the view is the static twin's and the picture is drawn again."""
    texts = {"easy": EASY, "hard": HARD}
    explorer = TradeoffExplorer(texts, cost)
    moves = [(explorer.workload, "hard"), (explorer.workload, "easy"), (explorer.draft_length, 2)]
    moves += [(explorer.schedule, kind) for kind in KINDS[1:]]
    moves += [(explorer.schedule, "confidence"), (explorer.threshold, 0.9)]
    moves += [(explorer.schedule, "constant"), (explorer.cost_ratio, 0.7)]
    for control, value in moves:
        before, picture = explorer.counts.value + explorer.view.value, explorer.figure.value
        control.value = value
        name = explorer.workload.value
        twin = summary_html(
            texts[name], explorer.setting, cost, explorer.cost_ratio.value, workload=name
        )
        assert explorer.counts.value + explorer.view.value == twin != before
        now = outcome(texts[name], explorer.setting, cost, explorer.cost_ratio.value)
        levels = f"chosen schedule {now.speedup:.2f}, oracle {now.best_speedup:.2f}"
        assert levels in explorer.figure.value
        assert 'src="data:image/png;base64,iVBOR' in explorer.figure.value
        if control in (explorer.workload, explorer.cost_ratio):
            assert explorer.figure.value != picture


def test_controls_say_what_they_are() -> None:
    explorer = TradeoffExplorer({"easy": EASY})
    assert all(control.description for control in explorer.controls)
    assert (explorer.draft_length.disabled, explorer.threshold.disabled) == (False, True)
    explorer.schedule.value = "confidence"
    assert (explorer.draft_length.disabled, explorer.threshold.disabled) == (True, False)
    assert explorer.draft_length.max == 4
    assert repr(explorer) == "TradeoffExplorer: run the notebook to use it"
    with pytest.raises(ValueError, match="no profiles"):
        TradeoffExplorer({})


def test_measured_speeds_stand_beside_the_predicted_ones() -> None:
    measured = {"easy": {2: 1.77}}
    explorer = TradeoffExplorer({"easy": EASY, "hard": HARD}, measured=measured)
    row = "<span>measured</span><br><b>{}</b>"
    explorer.draft_length.value = 2
    assert row.format("1.77x") in explorer.counts.value
    pictures = {explorer.figure.value}
    explorer.draft_length.value = 3
    assert row.format("not measured") in explorer.counts.value
    explorer.draft_length.value = 2
    explorer.schedule.value = "heuristic"
    assert row.format("not measured") in explorer.counts.value
    explorer.schedule.value, explorer.workload.value = "constant", "hard"
    assert row.format("not measured") in explorer.counts.value
    explorer.workload.value = "easy"
    pictures.add(TradeoffExplorer({"easy": EASY}, measured={"easy": {2: 1.2}}).figure.value)
    assert len(pictures) == 2
    assert "measured: 1.77 at 2; lines across: plain decoding 1.00, " in explorer.figure.value
    assert "measured" not in TradeoffExplorer({"easy": EASY}).counts.value


def test_text_of_one_token() -> None:
    """Nothing is drafted, so nothing is won."""
    profile = make_profile((5,), ())
    explorer = TradeoffExplorer({"one": profile})
    assert "1 for 1 tokens" in explorer.counts.value
    assert outcome(profile, Setting(), 0.1).speedup == 1.0


def test_markers_of_equal_speeds_do_not_hide_each_other() -> None:
    """Every one of four schedules has a height of its own, within its row."""
    ax = plots.plot_speeds({"a": dict.fromkeys("wxyz", 2.0)})
    heights = sorted(float(line.get_ydata()[0]) for line in ax.lines[:4])
    assert heights == pytest.approx([-0.225, -0.075, 0.075, 0.225])
    kept = plots.lines_chart({"a": {1: 0.5}, "b": {1: 0.5}}, "place", "share").lines
    assert [line.get_markerfacecolor() for line in kept] == ["none", "none"]
    assert kept[0].get_markersize() > kept[1].get_markersize()
