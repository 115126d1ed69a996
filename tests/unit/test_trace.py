"""Traces: what they count, and that they survive storage."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace, kind_after

PREFILL = RoundTrace(3, (), 0, 10, "prefill")
BONUS = RoundTrace(4, (11, 12), 2, 13, "bonus", (0.9, 0.8), (0.7, 0.6), 0.1, 0.2, 0.05)
CORRECTION = RoundTrace(7, (14, 15), 0, 16, "correction")
ENDED = RoundTrace(8, (17, 1, 18), 2, None, "none")


def make_trace(*rounds: RoundTrace) -> GenerationTrace:
    ids = tuple(i for r in rounds for i in r.token_ids)
    return GenerationTrace((5, 6, 7), ids, "text", rounds, "eos", {11: " a"}, {"pair": "test"})


def test_hand_worked_counts() -> None:
    """1 + (2 + 1) + (0 + 1) + 2 tokens in four passes; 4 of 7 drafts accepted."""
    trace = make_trace(PREFILL, BONUS, CORRECTION, ENDED)
    assert trace.token_ids == (10, 11, 12, 13, 16, 17, 1)
    assert trace.target_passes == 4
    assert trace.drafter_passes == 7
    assert trace.n_accepted == 4
    assert trace.acceptance_rate == pytest.approx(4 / 7)
    assert trace.tokens_per_round == pytest.approx(6 / 3)
    assert trace.seconds == pytest.approx(0.35)


def test_what_follows_a_pass() -> None:
    assert [kind_after(4, n) for n in (4, 2, 0)] == ["bonus", "correction", "correction"]
    assert (kind_after(0, 0), kind_after(0, 0, first=True)) == ("plain", "prefill")


def test_rates_where_there_are_no_drafts() -> None:
    """A round without drafts is a round: three tokens and one, in two after the prefill."""
    plain = RoundTrace(7, (), 0, 19, "plain")
    trace = make_trace(PREFILL, BONUS, plain)
    assert trace.draft_rounds == (BONUS, plain)
    assert trace.tokens_per_round == pytest.approx(2.0)
    assert make_trace(PREFILL).acceptance_rate is None
    assert make_trace(PREFILL).tokens_per_round is None


def test_one_row_per_round() -> None:
    trace = make_trace(PREFILL, BONUS)
    assert list(trace.to_frame()["accepted"]) == [0, 2]
    assert list(trace.to_frame()["text"]) == ["<10>", " a<12><13>"]
    lines = str(trace).splitlines()
    assert len(lines) == 4
    assert "bonus" in lines[3] and " a<12><13>" in lines[3]


@st.composite
def rounds(draw: st.DrawFn) -> RoundTrace:
    ids = st.integers(0, 262_143)
    drafts = tuple(draw(st.lists(ids, max_size=8)))
    accepted, own = int(draw(st.floats(0, 1)) * len(drafts)), draw(st.none() | ids)
    kind = "none" if own is None else "correction"
    return RoundTrace(draw(ids), drafts, accepted, own, kind, (0.5,) * len(drafts))


@given(st.lists(rounds(), max_size=5), st.dictionaries(st.integers(0, 99), st.text(), max_size=5))
def test_json_round_trip(records: list[RoundTrace], vocabulary: dict[int, str]) -> None:
    made = make_trace(PREFILL, *records)
    trace = replace(made, text="é\n\u2028", vocabulary=vocabulary)
    assert GenerationTrace.from_json(trace.to_json()) == trace


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema": "gemma_mtp_edu.trace/999"}'])
def test_another_schema_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"reads 'gemma_mtp_edu\.trace/1'"):
        GenerationTrace.from_json(text)


def test_missing_fields_and_rounds_that_do_not_add_up_are_refused() -> None:
    whole = json.loads(make_trace(PREFILL, BONUS).to_json())
    for field in ("rounds", "token_ids"):
        record = {name: value for name, value in whole.items() if name != field}
        with pytest.raises(ValueError, match=field):
            GenerationTrace.from_json(json.dumps(record))
    whole["token_ids"].append(3)
    with pytest.raises(ValueError, match="do not add up to token_ids"):
        GenerationTrace.from_json(json.dumps(whole))


WRONG = (None, 5, -1, True, "x", [], ["x"], [-1], [[1]], {}, {"a": 5}, float("nan"))


def test_no_field_of_another_kind_is_read() -> None:
    """Each field in turn becomes something else: it is refused, or read as the record it makes."""
    whole = json.loads(make_trace(PREFILL, BONUS).to_json())
    refused, fields = 0, [(whole, name) for name in whole if name != "schema"]
    fields += [(entry, name) for entry in whole["rounds"] for name in entry]
    for holder, name in fields:
        right = holder[name]
        for wrong in WRONG:
            holder[name] = wrong
            try:
                read = GenerationTrace.from_json(json.dumps(whole))
            except ValueError:
                refused += 1
            else:
                # NaN is not equal to itself; as text it is.
                assert GenerationTrace.from_json(read.to_json()).to_json() == read.to_json()
        holder[name] = right
    assert refused > 0.6 * len(fields) * len(WRONG)


def test_every_cut_of_a_trace_is_refused() -> None:
    text = make_trace(PREFILL, BONUS).to_json()
    for end in range(len(text)):
        with pytest.raises(ValueError, match=r"JSON|schema"):
            GenerationTrace.from_json(text[:end])
