"""Lessons 03 to 05 from behind: the checkers' questions, and the laws at one position."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from gemma_mtp_edu import ModelPair, speculative_generate
from gemma_mtp_edu.analysis.lossless import (
    distributions_after,
)
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


def test_the_laws_are_those_of_the_loop(pair: ModelPair, story: GenerationTrace) -> None:
    record = story.rounds[1]
    ids = torch.tensor([[*story.prompt_ids, *story.token_ids[:1]]])
    target_probs, draft_probs = distributions_after(pair, ids)
    assert target_probs.sum() == pytest.approx(1.0) and draft_probs.sum() == pytest.approx(1.0)
    assert int(draft_probs.argmax()) == record.draft_ids[0]
    assert float(draft_probs.max()) == pytest.approx(record.draft_probs[0], abs=1e-4)
    assert float(target_probs[record.draft_ids[0]]) == pytest.approx(
        record.target_probs[0], abs=1e-4
    )


def test_random_drafts_change_nothing(pair: ModelPair, story: GenerationTrace) -> None:
    noise = torch.randint(10, 500, (60, 4), generator=torch.Generator().manual_seed(0)).tolist()
    drafter = ScriptedDrafter(noise)
    silly = speculative_generate(pair, STORY, drafter=drafter, gamma=4, max_new_tokens=40)
    assert silly.token_ids == story.token_ids
    assert silly.target_passes > 30
