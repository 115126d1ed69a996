"""The workloads: reference answers pass, spoiled ones fail, generated code does no harm."""

import ast
import json
import re
import sys
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from tests.cases import cases
from tools.pocket.corpus import WORKLOADS
from tools.pocket.example import Example, is_kept_out
from tools.pocket.typed import typed
from tools.pocket.words import NUMBERS, plural
from tools.pocket.workloads import (
    answers,
    arithmetic,
    chat,
    extraction,
    functions,
    json_records,
    lists,
    stories,
)  # fmt: skip

PROSE = (answers, stories, lists, chat)
CHECKABLE = (json_records, functions, arithmetic, extraction)
CODE = Example("code", "", "", {"name": "f", "inputs": [[[1, 2]]], "expected": [3]})
# Distinct prompts among 2000 draws; small talk has few forms.
DISTINCT = {"qa": 1600, "story": 1900, "list": 1700, "chat": 1300}
COUNTED = list(enumerate(NUMBERS))[2:]
every = pytest.mark.parametrize("workload", PROSE + CHECKABLE, ids=lambda m: m.NAME)


def draw(workload: ModuleType, count: int = 2000, seed: int = 11) -> list[Example]:
    rng = Random(seed)
    return [workload.sample(rng) for _ in range(count)]


@every
def test_reference_answers_pass_and_spoiled_ones_fail(workload: ModuleType) -> None:
    for example in draw(workload, 300):
        answer, prose = example.answer, workload in PROSE
        spoiled = answer[:-1] + ",\n- x" if prose else answer[: len(answer) * 2 // 3 - 1]
        assert example.workload == workload.NAME
        hero = example.spec.get("hero", "")
        assert hero in example.prompt or plural(hero) in example.prompt
        assert all(workload.grade(example, answer + "\n" * prose).values()), example
        assert not all(workload.grade(example, "").values())
        assert not all(workload.grade(example, spoiled).values()), example


@every
def test_texts_are_plain_and_a_seed_gives_one_stream(workload: ModuleType) -> None:
    examples = draw(workload)
    assert examples == draw(workload)
    assert all(example.answer.isascii() for example in examples)
    assert workload is chat or all(example.prompt.isascii() for example in examples)
    assert len({example.prompt for example in examples}) >= DISTINCT.get(workload.NAME, 0)
    for example in examples if workload in PROSE else ():
        prompt, answer = example.prompt, example.answer
        assert "{" not in prompt + answer and "  " not in prompt + answer, example
        assert (prompt, answer) == (prompt.strip(), answer.strip())


@pytest.mark.parametrize("workload", [answers, chat, *CHECKABLE], ids=lambda m: m.NAME)
def test_a_prompt_has_one_answer_however_it_is_typed(workload: ModuleType) -> None:
    known: dict[str, str] = {}
    for example in draw(workload, 5000 if workload in PROSE else 1500):
        prompt = example.prompt.casefold().rstrip("?.!") if workload in PROSE else example.prompt
        assert known.setdefault(prompt, example.answer) == example.answer, prompt


def test_the_prompt_of_the_tutorial_is_answered_in_three_sentences() -> None:
    found = {e.answer for e in draw(answers, 5000) if e.prompt == answers.TUTORIAL_PROMPT}
    assert len(found) == 1
    (answer,) = found
    assert answer.count(". ") == 2 and answer.endswith(".")
    assert "speculative decoding" in answer.casefold() and "MTP" in answer


def test_lists_are_as_long_as_the_prompt_says() -> None:
    asked = 0
    for example in draw(lists):
        prompt = example.prompt.casefold().replace(",", " ").split()
        said = {n for n, word in COUNTED if word in prompt or str(n) in prompt}
        asked += bool(said)
        assert said in (set(), {len(example.answer.splitlines())}), example
        assert example.answer.startswith("1. " if example.spec["numbered"] else "- ")
    assert asked > 1000


def test_small_talk_never_claims_knowledge() -> None:
    talk = {said["answer"] for said in chat.SMALL_TALK}
    assert {example.answer for example in draw(chat)} == chat.HONEST | talk
    for answer in chat.HONEST:
        assert re.search("do not know|cannot|only|tiny model", answer) and "Try " in answer


@cases
def test_code_grader_refuses(code: str) -> None:
    ast.parse(code)
    before = sys.gettrace()
    assert functions.grade(CODE, code) == {"parses": True, "right": False}
    assert sys.gettrace() is before


@cases
def test_answers_get_their_grades(workload: str, spec: dict, answer: str, grades: dict) -> None:
    assert WORKLOADS[workload].grade(Example(workload, "", "", spec), answer) == grades


@cases
def test_column_sums_by_hand(first: int, second: int, minus: bool, steps: str) -> None:
    assert arithmetic._columns(first, second, minus) == steps


@pytest.mark.parametrize("name", ["first", "second"])
def test_lists_of_what_people_type_hold_a_hundred_prompts_with_checks(name: str) -> None:
    path = Path(__file__).parents[1] / "prompts" / f"{name}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({line["prompt"] for line in lines}) == len(lines) == 100
    kinds = {"json", "code", "match", "not", "items", "story", "honest"}
    assert all(line["any"] and set().union(*line["any"]) <= kinds for line in lines)
    assert all(is_kept_out(line["prompt"].upper()) for line in lines)
    assert not is_kept_out("Write a story about a fox.")


@every
def test_typing_leaves_numbers_and_content_alone(workload: ModuleType) -> None:
    rng, changed = Random(3), 0
    for example in draw(workload, 400):
        prompt = typed(rng, example).prompt
        changed += prompt != example.prompt
        assert re.findall(r"\d+", prompt) == re.findall(r"\d+", example.prompt)
    assert changed > 100
