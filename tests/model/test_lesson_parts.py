"""Lessons 03 to 05 from behind: the checkers' questions, and the laws at one position."""

from collections.abc import Callable, Sequence

import pytest
import torch

from gemma_mtp_edu import (
    ModelPair,
    autoregressive_generate,
    reference_generate,
    speculative_generate,
)
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


def test_surest_mistake(story: GenerationTrace, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {
        i: r.draft_probs[r.n_accepted]
        for i, r in enumerate(story.rounds)
        if r.next_kind == "correction"
    }
    surest, least = max(wrong, key=wrong.__getitem__), min(wrong, key=wrong.__getitem__)
    assert surest != least
    for answer, answered in ((surest, "Right."), (least, "with more"), (0, "no draft was")):
        checks.surest_mistake(answer, story)
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


def test_greedy_loop(pair: ModelPair, capsys: pytest.CaptureFixture[str]) -> None:
    def right(pair: ModelPair, ids: torch.Tensor, gamma: int, limit: int) -> tuple[int, ...]:
        return autoregressive_generate(pair, ids, max_new_tokens=limit).token_ids

    for change, answered in (
        (lambda text: text, "Right."),
        (lambda text: [*text, 3, 4], "2 tokens too many"),
        (lambda text: text[:5], "stops after 5"),
        (lambda text: [*text[:4], text[4] + 1, *text[5:]], "4 tokens are right"),
        (lambda text: [1], "the first token is wrong"),
        (lambda text: None, "Not answered yet"),
    ):
        checks.greedy_loop(lambda *given: change(right(*given)), pair)  # noqa: B023
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
