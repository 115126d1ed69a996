"""Exercise checkers of the decoding lessons; `checks` hands them on."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.analysis.lossless import emitted_distribution
from gemma_mtp_edu.core.decoding import autoregressive_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.core.verification import residual_distribution
from gemma_mtp_edu.lessons.language import marked, sentences, tr
from gemma_mtp_edu.models.pairs import ModelPair

NOT_TRIED = marked("Not answered yet: fill in the cell above, then run it again.")
RIGHT = marked("Right.")

_ROUNDS: tuple[tuple[list[int], list[int], tuple[int, int]], ...] = (
    ([5, 8], [5, 7, 9], (1, 7)),
    ([5, 7], [5, 7, 9], (2, 9)),
    ([1, 7, 9], [5, 7, 9, 2], (0, 5)),
    ([], [4], (0, 4)),
    ([3, 1, 3], [3, 2, 3, 6], (1, 2)),
)


def agrees(
    function: Callable[..., float | None],
    case: tuple[float, ...],
    expected: float,
    question: Callable[[float, float], str],
) -> bool:
    """Try one case; print what to think about where the answer is missing or wrong."""
    answer = function(*case)
    if answer is None:
        print(tr(NOT_TRIED))
        return False
    if not math.isclose(answer, expected, rel_tol=1e-6):
        arguments = ", ".join(f"{value:g}" for value in case)
        got = tr("For ({arguments}) you got {answer:g}.", arguments=arguments, answer=answer)
        print(sentences(got, question(answer, expected)))
        return False
    return True


def tokens_of_rounds(
    function: Callable[[GenerationTrace], Sequence[int] | None], trace: GenerationTrace
) -> None:
    """Lesson 03: the text's token ids, put together from the rounds."""
    answer = function(trace)
    if answer is None:
        print(tr(NOT_TRIED))
    elif tuple(answer) == trace.token_ids:
        print(tr(RIGHT))
    elif len(answer) == trace.n_accepted <= len(trace.token_ids):
        print(tr("These are the accepted drafts alone. What does the target add in every round?"))
    else:
        have, whole = len(answer), len(trace.token_ids)
        print(
            tr(
                "You have {have} tokens of {whole}. Do rejected drafts count?"
                if have > whole
                else "You have {have} tokens of {whole}. Is the prefill among them?",
                have=have,
                whole=whole,
            )
        )


def surest_mistake(answer: int | None, trace: GenerationTrace) -> None:
    """Lesson 03: the round whose rejected draft the drafter was surest of."""
    wrong = {
        index: record.draft_probs[record.n_accepted]
        for index, record in enumerate(trace.rounds)
        if record.next_kind == "correction"
    }
    if answer is None:
        print(tr(NOT_TRIED))
    elif answer not in wrong:
        print(
            tr(
                "In round {answer} no draft was rejected. Which rounds end with a correction?",
                answer=answer,
            )
        )
    elif wrong[answer] == max(wrong.values()):
        gave = tr(
            "The drafter gave {prob:.0%} to a draft that the target refused.", prob=wrong[answer]
        )
        print(sentences(tr(RIGHT), gave))
    else:
        print(
            tr(
                "There it gave {prob:.0%}. Is there a rejected draft with more?",
                prob=wrong[answer],
            )
        )


def greedy_round(
    function: Callable[[list[int], list[int]], tuple[int, int] | None],
) -> None:
    """Lesson 04: accepted drafts and the target's own token, from two lists of token ids."""
    for drafts, wanted, expected in _ROUNDS:
        answer = function(list(drafts), list(wanted))
        if answer is None:
            print(tr(NOT_TRIED))
            return
        if tuple(answer) != expected:
            question = _round_question(tuple(answer), expected, len(drafts))
            got = tr(
                "For drafts {drafts} and target {wanted} you got {answer}.",
                drafts=drafts,
                wanted=wanted,
                answer=answer,
            )
            print(sentences(got, question))
            return
    print(tr(RIGHT))


def _round_question(answer: tuple[Any, ...], expected: tuple[int, int], gamma: int) -> str:
    if answer[0] != expected[0]:
        if answer[0] > expected[0]:
            return tr("May a draft count that stands after a wrong one?")
        return tr("Does the comparison stop too early: is the draft at that place wrong?")
    if expected[0] == gamma:
        return tr("All drafts hold. Which of the target's tokens follows the last one?")
    return tr("What stands in the place of the first wrong draft: whose token?")


def greedy_loop(
    function: Callable[[ModelPair, Tensor, int, int], Sequence[int] | None], pair: ModelPair
) -> None:
    """Lesson 04: a whole speculative loop, against plain decoding."""
    for prompt, gamma, limit in (
        ("Count from 7 to 12.", 4, 40),
        ("Tell me a short story about a heron.", 3, 40),
        ("Tell me a short story about a heron.", 5, 17),
    ):
        expected = autoregressive_generate(pair, prompt, max_new_tokens=limit).token_ids
        answer = function(pair, pair.encode(prompt), gamma, limit)
        if answer is None:
            print(tr(NOT_TRIED))
            return
        if tuple(answer) != expected:
            question = _loop_question(list(answer), list(expected))
            print(f"{prompt!r}, gamma {gamma}: {question}")
            return
    print(tr(RIGHT))


def _loop_question(answer: list[int], expected: list[int]) -> str:
    same = next(
        (i for i, (a, b) in enumerate(zip(answer, expected, strict=False)) if a != b),
        min(len(answer), len(expected)),
    )
    if same == len(expected):
        return tr(
            "the text is right, then {extra} tokens too many. Where may a round stop in the "
            "middle of its drafts?",
            extra=len(answer) - same,
        )
    if same == len(answer):
        return tr(
            "it stops after {same} of {whole} tokens. What ends your loop?",
            same=same,
            whole=len(expected),
        )
    if same == 0:
        return tr("the first token is wrong. Which row of the prefill's logits predicts it?")
    return tr(
        "{same} tokens are right, then it differs. After a rejection: which row gives the "
        "correction, how many entries must leave the cache, and is the newest token passed again?",
        same=same,
    )


def residual(function: Callable[[Tensor, Tensor], Tensor | None]) -> None:
    """Lesson 05: the distribution after a rejection."""
    for p, q in _laws():
        answer = function(p.clone(), q.clone())
        if answer is None:
            print(tr(NOT_TRIED))
            return
        if (answer < 0).any():
            print(tr("Some of it is negative. What becomes of tokens that q has more of than p?"))
            return
        if not torch.isclose(answer.sum(), torch.ones((), dtype=answer.dtype)):
            total = float(answer.sum())
            print(tr("It sums to {total:.3f}. What makes a law of what is left?", total=total))
            return
        if not torch.allclose(answer, residual_distribution(p, q)):
            print(tr("It is a law, but not this one. Which mass did accepted drafts leave over?"))
            return
    print(tr(RIGHT))


def emitted(function: Callable[[Tensor, Tensor], Tensor | None]) -> None:
    """Lesson 05: the law of the token that draft, verify and correct give together."""
    for p, q in _laws():
        answer = function(p.clone(), q.clone())
        if answer is None:
            print(tr(NOT_TRIED))
            return
        if not torch.allclose(answer, emitted_distribution(p, q)):
            total = float(answer.sum())
            print(
                tr(
                    "It sums to {total:.3f}, and it is not p. Did you count the rejected mass?"
                    if total < 0.999
                    else "It sums to {total:.3f}, and it is not p. Did you count the chance of "
                    "q(x) that x is drafted?",
                    total=total,
                )
            )
            return
    print(sentences(tr(RIGHT), tr("It is p, whatever q is.")))


def _laws() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    weights = torch.rand(4, 2, 6, generator=generator, dtype=torch.float64)
    return [(p / p.sum(), q / q.sum()) for p, q in weights]
