"""What is of another kind than an argument takes: an error that says what is needed instead."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.core.arguments import whole
from gemma_mtp_edu.core.stored import need_kind
from gemma_mtp_edu.lessons.language import speaking, tr
from gemma_mtp_edu.models.memory_plan import dtype_on, memory_plan, pick_pair
from gemma_mtp_edu.training.new_drafter import DrafterShape
from gemma_mtp_edu.training.training import shuffled
from gemma_mtp_edu.training.training_plan import Look, Plan, differences, read_stored, stored

NAN, INF = float("nan"), float("inf")
HUGE = 10**5000  # more digits than Python writes out


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
