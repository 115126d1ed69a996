"""What is of another kind than an argument takes: an error that says what is needed instead."""

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu import TradeoffExplorer, plot_layers, plot_pass_times, plot_rounds
from gemma_mtp_edu.analysis import metrics
from gemma_mtp_edu.analysis.prices import draft_cost, round_price
from gemma_mtp_edu.analysis.timing import PassTimes
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome
from gemma_mtp_edu.core.arguments import whole
from gemma_mtp_edu.core.stored import need_kind
from gemma_mtp_edu.lessons.language import speaking, tr
from gemma_mtp_edu.models.memory_plan import dtype_on, memory_plan, pick_pair
from gemma_mtp_edu.show.rounds import describe_rounds
from gemma_mtp_edu.show.views import html_view
from gemma_mtp_edu.training.new_drafter import DrafterShape
from gemma_mtp_edu.training.training import shuffled
from gemma_mtp_edu.training.training_plan import Look, Plan, differences, read_stored, stored
from tests.unit.test_bad_records import PROFILE, TRACE

NAN, INF = float("nan"), float("inf")
HUGE = 10**5000  # more digits than Python writes out


def explored(cost: Any = 0.1, **arguments: Any) -> TradeoffExplorer:
    return TradeoffExplorer({"a": PROFILE}, cost, **arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TradeoffExplorer(None), "got a NoneType as profiles, need one for each workload"),
        (lambda: TradeoffExplorer([PROFILE]), "got a list as profiles"),
        (lambda: TradeoffExplorer({}), "got no profiles"),
        (lambda: TradeoffExplorer({"a": TRACE}), "got a GenerationTrace as profile, need what acc"),
        (lambda: TradeoffExplorer({3: PROFILE}), "got a int as workload"),
        (lambda: explored("fast"), "got cost 'fast', need the plain passes.*or a CostModel"),
        (lambda: explored(NAN), "got cost nan"),
        (lambda: explored(-0.1), "got cost -0.1"),
        (lambda: explored(measured=2.0), "got a float as measured, need what measured_speedups"),
        (lambda: explored(measured={"a": 2.0}), "got a float as measured"),
        (lambda: explored(measured={"a": {4: "2"}}), "got speedup '2'"),
        (lambda: explored(measured={"a": {4: INF}}), "got speedup inf"),
        (lambda: draft_cost(None), "got cost None"),
        (lambda: round_price(0.1, True), "got cost_ratio True, need .* such as 0.1$"),
        (lambda: outcome(TRACE, Setting(), 0.1), "got a GenerationTrace as profile"),
        (lambda: outcome(PROFILE, "constant", 0.1), r"got a str as setting, need tradeoff.Setting"),
        (lambda: outcome(PROFILE, Setting("constant", 0), 0.1), "got gamma 0"),
    ],
)
def test_trade_offs(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: plot_rounds(PROFILE), "got a AcceptanceProfile as trace, need what speculative"),
        (lambda: plot_rounds(TRACE, first=-1), "got first -1, need a whole number, at least 0"),
        (lambda: plot_rounds(TRACE, first=2), "got first=2 and count=8, the trace has 2"),
        (lambda: plot_rounds(TRACE, count=0), "got count 0"),
        (lambda: describe_rounds(TRACE, first="a"), "got first 'a'"),
        (lambda: plot_layers(None), "got a NoneType as pair"),
        (lambda: plot_pass_times((1, 5)), "got a tuple as times, need what time_target_passes"),
        (lambda: html_view("trace"), "got a str as trace"),
        (lambda: metrics.alpha(5), "got a int as trace"),
        (lambda: metrics.alpha([TRACE, None]), "got a NoneType as trace"),
        (lambda: metrics.accepted_by_position(PROFILE.n_accepted), "got a int as trace"),
        (lambda: metrics.saved_passes(None), "got a NoneType as trace"),
        (lambda: metrics.wasted_drafts([TRACE]), "got a list as trace"),
    ],
)
def test_views_and_figures(make: Callable[[], Any], message: str) -> None:
    before = plt.get_fignums()
    with pytest.raises(ValueError, match=message):
        make()
    assert plt.get_fignums() == before, "no figure is left"


def test_a_figure_of_times_is_drawn() -> None:
    ax = plot_pass_times(PassTimes((1, 5), (0.5, 1.0), 9))
    assert ax.lines[0].get_ydata().tolist() == [1.0, 2.0]
    plt.close("all")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: memory_plan(None), "got a NoneType as pair, need a registered name, or the conf"),
        (lambda: memory_plan(("E2B", "E2B")), "got pair .*need a registered name"),
        (lambda: memory_plan(("E2B",)), "got pair"),
        (lambda: memory_plan("E2B", None), "got dtype 'None'"),
        (lambda: memory_plan("E2B", context_length="1k"), "got context_length '1k'"),
        (lambda: memory_plan("E2B").fits("16 GB"), "got free_bytes '16 GB', need bytes, such as"),
        (lambda: memory_plan("E2B").describe(HUGE), "got a free_bytes beyond all floats"),
        (lambda: pick_pair("16 GB", (7, 5)), "got free_bytes '16 GB'"),
        (lambda: pick_pair(16e9, 7.5), r"got compute_capability 7.5, need two numbers such as"),
        (lambda: pick_pair(16e9, (7, "5")), "got compute_capability"),
        (lambda: dtype_on("8.0"), "got compute_capability '8.0'"),
    ],
)
def test_memory_plans(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_numbers_may_be_of_any_kind() -> None:
    assert dtype_on((np.int64(7), np.int64(5))) == "float16"  # type: ignore[arg-type]
    assert pick_pair(16e9, (7, 5)) == pick_pair(16 * 10**9, (7, 5)) == ("E2B", "float16")


def test_a_shape_takes_numpy_s_numbers() -> None:
    assert DrafterShape(hidden_size=np.int64(64)) == DrafterShape(hidden_size=64)  # type: ignore[arg-type]
    assert type(DrafterShape(layers=np.int32(2)).layers) is int  # type: ignore[arg-type]


def test_numbers_that_no_text_holds_are_named_all_the_same() -> None:
    with pytest.raises(ValueError, match="got a gamma beyond all floats, need a smaller one"):
        whole(HUGE, "gamma")
    with pytest.raises(ValueError, match=r"x is \(a number of thousands of digits\), need text"):
        need_kind([HUGE], "text", "x")
    with speaking("ja"):
        assert tr("got {name} {value!r}, need {needed}", name="x", value=-HUGE, needed="y") == (
            "x に (数千桁の数) が渡されましたが、必要なのはyです"
        )
    with pytest.raises(ValueError, match="Unknown format code"):
        tr("{x:d}", x="a")


@pytest.mark.parametrize("items", [[], (), "", None, 5])
def test_nothing_is_not_shuffled(items: Any) -> None:
    with pytest.raises(ValueError, match=r"got no items|as items, need a list|got a \w+ as items"):
        next(shuffled(items))


# What a checkpoint notes.

LOOKS = (Look(0), Look(2, 1.5, (0.5, 0.25), 0.4, 1.8))


@given(
    st.builds(Plan, steps=st.integers(1, 99), unroll=st.integers(1, 9), gamma=st.integers(1, 9)),
    st.builds(Plan, steps=st.integers(1, 99), unroll=st.integers(1, 9), gamma=st.integers(1, 9)),
)
def test_plans_differ_in_all_but_their_length(was: Plan, now: Plan) -> None:
    assert read_stored(stored(was, LOOKS)) == (was, list(LOOKS))
    same = (was.unroll, was.gamma) == (now.unroll, now.gamma)
    assert (differences(was, now) == "") == same
    assert differences(Plan(patience=3), Plan()) == ""


@pytest.mark.parametrize(
    "change",
    [
        {"looks": []}, {"looks": None}, {"looks": [5]}, {"plan": None}, {"plan": {"steps": 0}},
        {"plan": {"speed": 1}}, {"looks": [{}]}, {"looks": [{"step": "two"}]},
        {"looks": [{"step": 2, "acceptance": "high"}]}, {"looks": [{"step": 2, "agreement": 5}]},
        {"looks": [{"step": 2, "loss": NAN}]},
    ],
)  # fmt: skip
def test_damaged_notes_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_stored({**stored(Plan(), LOOKS), **change})
