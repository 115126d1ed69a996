"""Checkable workloads: reference answers pass, wrong ones fail, generated code does no harm."""

import ast
import sys
from random import Random
from types import ModuleType

import pytest

from tools.pocket.example import Example
from tools.pocket.workloads import arithmetic, extraction, functions, json_records

MODULES = (json_records, functions, arithmetic, extraction)
CODE = Example("code", "", "", {"name": "f", "inputs": [[[1, 2]]], "expected": [3]})


@pytest.mark.parametrize("workload", MODULES, ids=lambda m: m.NAME)
def test_reference_answers_pass_and_damaged_ones_fail(workload: ModuleType) -> None:
    rng = Random(7)
    for _ in range(200):
        example = workload.sample(rng)
        assert example.workload == workload.NAME
        assert (example.prompt + example.answer).isascii()
        assert all(workload.grade(example, example.answer).values()), example
        cut = example.answer[: len(example.answer) * 2 // 3 - 1]
        assert not all(workload.grade(example, cut).values()), example
        assert not all(workload.grade(example, "").values())


@pytest.mark.parametrize("workload", MODULES, ids=lambda m: m.NAME)
def test_a_prompt_has_one_answer_and_a_seed_one_stream(workload: ModuleType) -> None:
    first, second = ([workload.sample(rng) for _ in range(1500)] for rng in (Random(3), Random(3)))
    assert first == second
    answers: dict[str, str] = {}
    for example in first:
        assert answers.setdefault(example.prompt, example.answer) == example.answer


@pytest.mark.parametrize(
    "code",
    [
        "import os\ndef f(x):\n    return 3",
        "def f(x):\n    import os\n    return 3",
        "def f(x):\n    while True:\n        pass",
        "def f(x):\n    for i in x:\n        x.append(i)\n    return 3",
        "def f(x):\n    for i in range(10 ** 9):\n        pass\n    return 3",
        "def f(x):\n    return x.__class__",
        "def f(x):\n    return open('a')",
        "def f(x):\n    return f(x)",
        "def f(x, y=print(3)):\n    return 3",
        "print(3)",
    ],
)
def test_code_grader_refuses(code: str) -> None:
    ast.parse(code)
    before = sys.gettrace()
    assert functions.grade(CODE, code) == {"parses": True, "right": False}
    assert sys.gettrace() is before


def test_code_is_judged_by_what_it_computes() -> None:
    other = (
        "def f(things):\n    total = 0\n    for thing in things:\n"
        "        total = total + thing\n    return total"
    )
    assert functions.grade(CODE, other) == {"parses": True, "right": True}
    assert functions.grade(CODE, "def f(x):\n    return 4") == {"parses": True, "right": False}
    assert functions.grade(CODE, "def f(x:") == {"parses": False, "right": False}


def test_json_key_order_counts() -> None:
    example = Example("json", "", "", {"record": {"a": 1, "b": True}})
    assert json_records.grade(example, '{"a": 1, "b": true}') == {"parses": True, "right": True}
    assert json_records.grade(example, '{"b": true, "a": 1}') == {"parses": True, "right": False}


def test_column_sums_by_hand() -> None:
    steps = arithmetic._columns(347, 85, minus=False)
    assert steps == (
        "Ones: 7 + 5 + 0 = 12, write 2, carry 1. Tens: 4 + 8 + 1 = 13, write 3, carry 1. "
        "Hundreds: 3 + 0 + 1 = 4, write 4. 347 + 85 = 432."
    )
    assert arithmetic._columns(302, 7, minus=True).endswith("302 - 7 = 295.")
