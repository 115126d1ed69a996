"""Lessons 03 to 05 from behind: the checkers' questions."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from gemma_mtp_edu import ModelPair, reference_generate, speculative_generate
from gemma_mtp_edu.core.drafters import ScriptedDrafter
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons import checks

STORY = "Tell me a short story about a heron."


@pytest.fixture(scope="module")
def story(pair: ModelPair) -> GenerationTrace:
    return speculative_generate(pair, STORY, gamma=4, max_new_tokens=40)


@pytest.mark.parametrize(
    ("answer", "answered"),
    [
        (lambda t: [i for r in t.rounds for i in r.token_ids], "Right."),
        (lambda t: [i for r in t.rounds for i in (*r.draft_ids, r.next_id)], "rejected drafts"),
        (lambda t: [i for r in t.rounds for i in r.draft_ids[: r.n_accepted]], "does the target"),
        (lambda t: t.token_ids[1:], "prefill"),
        (lambda t: None, "Not answered yet"),
    ],
)
def test_tokens_of_rounds(
    story: GenerationTrace,
    answer: Callable[[GenerationTrace], Sequence[int] | None],
    answered: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checks.tokens_of_rounds(answer, story)
    assert answered in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "answered"),
    [
        (lambda t: [r.n_accepted for r in t.rounds], "Right."),
        (lambda t: [r.n_accepted for r in t.draft_rounds], "the prefill counted"),
        (lambda t: [len(r.draft_ids) for r in t.rounds], "differs. Where in prompt and text"),
    ],
)
def test_accepted_by_text(
    story: GenerationTrace, answer: Any, answered: str, capsys: pytest.CaptureFixture[str]
) -> None:
    checks.accepted_by_text(answer, story)
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
