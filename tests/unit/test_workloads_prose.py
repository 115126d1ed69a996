"""The prose workloads: reference answers pass, spoiled ones fail, prompts are many and varied."""

from random import Random
from types import ModuleType

import pytest

from tools.pocket.example import Example
from tools.pocket.workloads import answers, chat, lists, stories

MODULES = (answers, stories, lists, chat)
# Distinct prompts among 2000 draws; small talk has few forms.
DISTINCT = {"qa": 1600, "story": 1900, "list": 1700, "chat": 1300}
TUTORIAL_PROMPT = "Explain the concepts of speculative decoding and MTP in 3 sentences."


def draw(workload: ModuleType, count: int = 2000, seed: int = 11) -> list[Example]:
    rng = Random(seed)
    return [workload.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("workload", MODULES, ids=lambda m: m.NAME)
def test_reference_answers_pass_and_spoiled_ones_fail(workload: ModuleType) -> None:
    for example in draw(workload, 300):
        assert example.workload == workload.NAME
        assert all(workload.grade(example, f"{example.answer}\n").values()), example
        assert not all(workload.grade(example, "").values())
        assert not all(workload.grade(example, example.answer[:-1] + ",\n- x").values()), example


@pytest.mark.parametrize("workload", MODULES, ids=lambda m: m.NAME)
def test_texts_are_plain_and_slots_are_filled(workload: ModuleType) -> None:
    for example in draw(workload):
        text = example.prompt + example.answer
        assert text.isascii() and "{" not in text and "  " not in text, example
        assert example.prompt == example.prompt.strip() and example.answer == example.answer.strip()


@pytest.mark.parametrize("workload", MODULES, ids=lambda m: m.NAME)
def test_prompts_vary_and_a_seed_gives_one_stream(workload: ModuleType) -> None:
    examples = draw(workload)
    assert len({example.prompt for example in examples}) >= DISTINCT[workload.NAME]
    assert examples == draw(workload)


@pytest.mark.parametrize("workload", [answers, chat], ids=lambda m: m.NAME)
def test_a_prompt_has_one_answer_however_it_is_typed(workload: ModuleType) -> None:
    known: dict[str, str] = {}
    for example in draw(workload, 5000):
        prompt = example.prompt.casefold().rstrip("?.!")
        assert known.setdefault(prompt, example.answer) == example.answer, prompt


def test_the_prompt_of_the_tutorial_is_answered_in_three_sentences() -> None:
    found = {e.answer for e in draw(answers, 5000) if e.prompt == TUTORIAL_PROMPT}
    assert len(found) == 1
    (answer,) = found
    assert answer.count(". ") == 2 and answer.endswith(".")
    assert "speculative decoding" in answer.casefold() and "MTP" in answer


def test_lists_are_as_long_as_the_prompt_says() -> None:
    words = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
    asked = 0
    for example in draw(lists):
        prompt = example.prompt.casefold().replace(",", " ").split()
        said = {n for n, word in words.items() if word in prompt or str(n) in prompt}
        asked += bool(said)
        assert said in (set(), {len(example.answer.splitlines())}), example
        assert example.answer.startswith("1. " if example.spec["numbered"] else "- ")
    assert asked > 1000


def test_a_list_with_a_repeated_or_missing_item_fails() -> None:
    example = Example("list", "Name 3 pets.", "- a\n- b\n- c", {"count": 3, "numbered": False})
    assert lists.grade(example, "- a\n- b\n- b") == {"count": True, "distinct": False}
    assert lists.grade(example, "- a\n- b") == {"count": False, "distinct": True}
    assert lists.grade(example, "1. a\n2. b\n3. c") == {"count": False, "distinct": True}


def test_a_story_without_its_hero_fails() -> None:
    example = next(e for e in draw(stories) if e.spec["hero"] == "fox")
    assert not all(stories.grade(example, "There was once a cow.").values())
    assert "fox" in example.prompt


def test_small_talk_never_claims_knowledge() -> None:
    talk = {said["answer"] for said in chat.SMALL_TALK}
    honest = {chat.DO_NOT_KNOW, chat.CANNOT_DO, *talk}
    assert {example.answer for example in draw(chat)} == honest
