"""Runs of this package are what they were: ids, rounds, ends and numbers drawn, one by one."""

import json
import math
from collections import defaultdict
from itertools import zip_longest
from typing import Any

import pytest

from tests.goldens.cases import PROBABILITIES, ROUND, Case, record
from tests.goldens.write import CASES, FOLDER

STORED = {group: json.loads((FOLDER / f"{group}.json").read_text("utf-8")) for group in CASES}
GROUPS: dict[tuple[str, str], list[Case]] = defaultdict(list)
for _file, _cases in CASES.items():
    for _case in _cases:
        GROUPS[_file, _case.name.split(":")[0]].append(_case)


def difference(was: Any, now: Any, place: str = "", field: str = "") -> str | None:
    """Return the first place where a run is not what it was, and both values."""
    if field == "rounds":
        rounds = [[dict(zip(ROUND, row, strict=False)) for row in rows] for rows in (was, now)]
        was, now = ({f"[{i}]": row for i, row in enumerate(rows)} for rows in rounds)
    if isinstance(was, dict) and isinstance(now, dict):
        parts = ((was.get(k), now.get(k), f"{place} {k}", k) for k in was | now)
    elif isinstance(was, list) and isinstance(now, list):
        both = enumerate(zip_longest(was, now))
        parts = ((a, b, f"{place}[{i}]", field) for i, (a, b) in both)
    else:
        near = 1e-4 if field in PROBABILITIES else 1e-12
        numbers = isinstance(was, float) and isinstance(now, float)
        same = math.isclose(was, now, rel_tol=0, abs_tol=near) if numbers else was == now
        return None if same else f"{place}: {was!r} is stored, {now!r} came"
    return next((found for part in parts if (found := difference(*part))), None)


@pytest.mark.parametrize(("file", "group"), GROUPS)
def test_runs_are_as_stored(file: str, group: str) -> None:
    found = [
        difference(STORED[file][case.name], json.loads(json.dumps(record(case))), f"{case.name!r}:")
        for case in GROUPS[file, group]
    ]
    assert not any(found), "\n".join(filter(None, found))


def test_every_case_is_stored_and_every_outcome_occurs() -> None:
    for file, cases in CASES.items():
        assert list(STORED[file]) == [case.name for case in cases]
        runs = [run for run in STORED[file].values() if "rounds" in run]
        kinds = {row[4] for run in runs for row in run["rounds"]}
        assert kinds == {"prefill", "plain", "correction", "bonus", "none"}
        assert {run["stop_reason"] for run in runs} == {"eos", "length", "stop"}
