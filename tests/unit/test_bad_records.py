"""What users pass where no model is needed: schedules, stored records, replays, files, plans."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gemma_mtp_edu import Confidence, Constant, FromProfile, GenerationTrace, Heuristic
from gemma_mtp_edu.core.arguments import real, whole
from gemma_mtp_edu.core.trace import RoundTrace

NAN = float("nan")
TRACE = GenerationTrace(
    (1,), (5, 6, 7), "abc",
    (RoundTrace(1, (), 0, 5, "prefill"), RoundTrace(2, (6,), 1, 7, "bonus", (0.9,), (0.8,))),
    "length", {5: "a"}, {"pair": "none"},
)  # fmt: skip


@pytest.mark.parametrize("wrong", [True, 2.0, "2", None, NAN, 0, -1, [1], np.float64(2)])
def test_whole_numbers(wrong: Any) -> None:
    assert type(whole(np.int64(2), "n")) is int
    with pytest.raises(ValueError, match=r"got n .*need a whole number, at least 1"):
        whole(wrong, "n")


@pytest.mark.parametrize("wrong", [True, "2", None, [1.0], 10**400, 1j])
def test_real_numbers(wrong: Any) -> None:
    assert type(real(np.float32(0.5), "x", "a number")) is float
    with pytest.raises(ValueError, match=r"got .*x.*need a number"):
        real(wrong, "x", "a number")


@pytest.mark.parametrize(
    "make",
    [
        *(lambda n=n, kind=kind: kind(n) for kind in (Constant, Heuristic)
          for n in (0, -1, True, 2.0, "4", None, NAN)),
        *(lambda t=t: Confidence(t) for t in (-0.1, 1.1, NAN, "0.4", None, True)),
        *(lambda n=n: FromProfile(n) for n in ((-1,), (2.0,), ("a",), (True,), None, 5, "12")),
    ],
)  # fmt: skip
def test_schedules(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"got .*need"):
        make()


def test_numpy_s_numbers_make_equal_schedules() -> None:
    assert Constant(np.int64(2)) == Constant(2)  # type: ignore[arg-type]
    assert repr(Confidence(np.float32(0.5), np.int32(3))) == repr(Confidence(0.5, 3))  # type: ignore[arg-type]
    assert FromProfile(np.array([1, 2])) == FromProfile((1, 2))  # type: ignore[arg-type]


WRONG: tuple[Any, ...] = (None, 5, -1, True, "x", [], ["x"], [-1], [[1]], {}, {"a": 5}, NAN)


def test_no_field_of_another_kind_is_read() -> None:
    """Each field in turn becomes something else: it is refused, or read as the record it makes."""
    record = TRACE
    whole_record = json.loads(record.to_json())
    refused = 0
    places = [(whole_record, name) for name in whole_record if name != "schema"]
    places += [(entry, name) for entry in whole_record.get("rounds", []) for name in entry]
    for holder, name in places:
        right = holder[name]
        for wrong in WRONG:
            holder[name] = wrong
            try:
                read = type(record).from_json(json.dumps(whole_record))
            except ValueError:
                refused += 1
            else:
                # NaN is not equal to itself; as text it is.
                assert type(record).from_json(read.to_json()).to_json() == read.to_json()
        holder[name] = right
    assert refused > 0.6 * len(places) * len(WRONG)


FIELDS: list[tuple[Any, str, Any]] = [
    *((TRACE, name, wrong) for name, wrong in [
        ("rounds", []), ("token_ids", [5, 6, 8]), ("stop_reason", "banana"), ("stop_reason", []),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("record", "name", "wrong"), FIELDS)
def test_a_field_of_a_wrong_kind_is_named(record: Any, name: str, wrong: Any) -> None:
    stored = json.loads(record.to_json())
    stored[name] = wrong
    with pytest.raises(ValueError, match=rf"wrong kind: .*({name}|need)"):
        type(record).from_json(json.dumps(stored))


@pytest.mark.parametrize(
    ("record", "name", "wrong"),
    [
        *((TRACE, name, wrong) for name, wrong in [
            ("draft_ids", [6]), ("next_kind", "bonus"), ("next_id", None), ("draft_probs", [5.0]),
            ("draft_seconds", -1), ("other_seconds", float("inf")), ("uniforms", [NAN]),
        ]),
    ],
)  # fmt: skip
def test_a_field_inside_a_record_s_rows_is_named(record: Any, name: str, wrong: Any) -> None:
    stored = json.loads(record.to_json())
    rows = stored["rounds"]
    rows[0][name] = wrong
    with pytest.raises(ValueError, match=r"wrong kind: .*need"):
        type(record).from_json(json.dumps(stored))


def test_every_cut_of_a_trace_is_refused() -> None:
    text = TRACE.to_json()
    for end in range(len(text)):
        with pytest.raises(ValueError, match=r"JSON|schema"):
            GenerationTrace.from_json(text[:end])
