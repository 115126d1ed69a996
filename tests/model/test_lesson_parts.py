"""Lessons 03 to 05 from behind: the checkers' questions."""

from typing import Any

import pytest
import torch

from gemma_mtp_edu import ModelPair, reference_generate, speculative_generate
from gemma_mtp_edu.core.drafters import ScriptedDrafter
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons import checks
from tests.cases import cases

STORY = "Tell me a short story about a heron."


@pytest.fixture(scope="module")
def story(pair: ModelPair) -> GenerationTrace:
    return speculative_generate(pair, STORY, gamma=4, max_new_tokens=40)


@cases
def test_answers_about_a_trace(
    story: GenerationTrace, check: str, answer: str, answered: str, capsys: Any
) -> None:
    """An answer is an expression, as a learner writes it."""
    getattr(checks, check)(eval(answer), story)
    assert answered in capsys.readouterr().out


def test_compare_runs(pair: ModelPair, capsys: pytest.CaptureFixture[str]) -> None:
    def right(prompt: str) -> tuple[bool, int, int]:
        runs = [reference_generate(pair, prompt, assisted=how) for how in (False, True)]
        return runs[0].token_ids == runs[1].token_ids, *(run.target_passes for run in runs)

    for change, answered in (
        (lambda same, a, b: (same, a, b), "Right."),
        (lambda same, a, b: (same, b, a), "Which of the two runs"),
        (lambda same, a, b: (same, a + b, b), "your hook count"),
        (lambda same, a, b: (same, a - 1, b - 1), "Is the prefill"),
        (lambda same, a, b: (not same, a, b), "the same limit"),
        (lambda *_: None, "Not answered yet"),
    ):
        checks.compare_runs(lambda prompt, pair: change(*right(prompt)), pair)  # noqa: B023
        assert answered in capsys.readouterr().out


def test_random_drafts_change_nothing(pair: ModelPair, story: GenerationTrace) -> None:
    noise = torch.randint(10, 500, (60, 4), generator=torch.Generator().manual_seed(0)).tolist()
    drafter = ScriptedDrafter(noise)
    silly = speculative_generate(pair, STORY, drafter=drafter, gamma=4, max_new_tokens=40)
    assert silly.token_ids == story.token_ids
    assert silly.target_passes > 30
