"""The checkers of lessons 03 to 06, and what every checker is made of: `answered` and `tried`.

Both make a checker of a function that returns the sentence for an answer. An answer of None, or a
function that returns None, counts as not tried, so an unfinished notebook runs to its end.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import update_wrapper
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.analysis.ablation import AblationResult
from gemma_mtp_edu.analysis.lossless import emitted_distribution, first_difference
from gemma_mtp_edu.core.decoding import autoregressive_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.core.verification import residual_distribution
from gemma_mtp_edu.lessons.language import marked, sentences, tr
from gemma_mtp_edu.models.pairs import ModelPair

NOT_TRIED = marked("Not answered yet: fill in the cell above, then run it again.")
RIGHT = marked("Right.")
FOR_NUMBER = marked("For ({arguments}) you got {answer:g}.")
FOR_OTHERS = marked("For ({arguments}) you got {answer}.")
DIVIDES_BY_ZERO = marked(
    "For ({arguments}) it divides by zero. What is the sum there, term by term?"
)


def right(*more: str) -> str:
    """Return the reply to a right answer."""
    return sentences(tr(RIGHT), *more)


def agrees(answer: Any, best: Any, within: float = 1e-9) -> bool:
    """Return whether an answer, be it a number, a tuple or a tensor, is right but for rounding."""
    if isinstance(best, Tensor):
        return torch.allclose(answer, best)
    if isinstance(best, tuple):
        return tuple(answer) == best
    return math.isclose(answer, best, rel_tol=1e-6, abs_tol=within)


def answered(reply: Callable[..., str | None]) -> Callable[..., None]:
    """Make a checker of what returns the reply to its first argument, or None if that is open."""

    def check(answer: Any, *given: Any, **options: Any) -> None:
        said = None if answer is None else reply(answer, *given, **options)
        print(said or tr(NOT_TRIED))

    return update_wrapper(check, reply)


def tried(
    cases: Sequence[tuple[Any, ...]],
    right_for: Callable[..., Any],
    got: str | None = None,
    within: float = 1e-9,
    praise: str = "",
) -> Callable[[Callable[..., str]], Callable[..., None]]:
    """Make a checker of a learner's function from the question that a wrong answer gets.

    The question is a function of the answer, the right answer and the arguments of the case.

    Args:
        cases: Arguments to try the learner's function with.
        right_for: Returns what is right for such arguments.
        got: What stands before the question, if not the usual; its fields are the parameters.
        within: How far from the right number an answer may be.
        praise: What follows "Right.".
    """

    def decorate(question: Callable[..., str]) -> Callable[..., None]:
        names = inspect.signature(question).parameters

        def reply(function: Callable[..., Any], *given: Any) -> str | None:
            for case in cases:
                listed = ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in case)
                try:
                    answer = function(*deepcopy(case), *given)
                except ZeroDivisionError:
                    return tr(DIVIDES_BY_ZERO, arguments=listed)
                if answer is None:
                    return None
                best = right_for(*case, *given)
                if not agrees(answer, best, within):
                    known = dict(zip(names, (answer, best, *case, *given), strict=False))
                    usual = FOR_NUMBER if isinstance(answer, float) else FOR_OTHERS
                    told = tr(usual if got is None else got, arguments=listed, **known)
                    return sentences(told, question(answer, best, *case, *given))
            return right(tr(praise))

        reply.__name__, reply.__doc__ = question.__name__, question.__doc__
        return answered(reply)

    return decorate


@tried([()], lambda trace: trace.token_ids, got="")
def tokens_of_rounds(answer: Sequence[int], best: Sequence[int], trace: GenerationTrace) -> str:
    """Lesson 03: the text's token ids, put together from the rounds."""
    if len(answer) == trace.n_accepted <= len(best):
        return tr("These are the accepted drafts alone. What does the target add in every round?")
    return tr(
        "You have {have} tokens of {whole}. Do rejected drafts count?"
        if len(answer) > len(best)
        else "You have {have} tokens of {whole}. Is the prefill among them?",
        have=len(answer),
        whole=len(best),
    )


@answered
def surest_mistake(answer: int, trace: GenerationTrace) -> str:
    """Lesson 03: the round whose rejected draft the drafter was surest of."""
    wrong = {
        index: record.draft_probs[record.n_accepted]
        for index, record in enumerate(trace.rounds)
        if record.next_kind == "correction"
    }
    if (prob := wrong.get(answer)) is None:
        return tr(
            "In round {answer} no draft was rejected. Which rounds end with a correction?",
            answer=answer,
        )
    if prob < max(wrong.values()):
        return tr("There it gave {prob:.0%}. Is there a rejected draft with more?", prob=prob)
    return right(tr("The drafter gave {prob:.0%} to a draft that the target rejected.", prob=prob))


@tried(
    [([5, 8], [5, 7, 9]), ([5, 7], [5, 7, 9]), ([1, 7], [5, 7, 9]), ([], [4]), ([3, 1], [3, 2, 3])],
    lambda drafts, wanted: next(
        (i, own) for i, own in enumerate(wanted) if drafts[i : i + 1] != [own]
    ),
    got=marked("For drafts {drafts} and target {wanted} you got {answer}."),
)
def greedy_round(answer: Any, best: Any, drafts: list[int], wanted: list[int]) -> str:
    """Lesson 04: accepted drafts and the target's own token, from two lists of token ids."""
    if answer[0] > best[0]:
        return tr("May a draft count that stands after a wrong one?")
    if answer[0] < best[0]:
        return tr("Does the comparison stop too early: is the draft at that place wrong?")
    if answer[0] == len(drafts):
        return tr("All drafts hold. Which of the target's tokens follows the last one?")
    return tr("What stands in the place of the first wrong draft: whose token?")


@answered
def greedy_loop(function: Callable[..., Any], pair: ModelPair) -> str | None:
    """Lesson 04: a whole speculative loop, against plain decoding."""
    for prompt, gamma, limit in (
        ("Count from 7 to 12.", 4, 40),
        ("Tell me a short story about a heron.", 3, 40),
        ("Tell me a short story about a heron.", 5, 17),
    ):
        best = autoregressive_generate(pair, prompt, max_new_tokens=limit).token_ids
        answer = function(pair, pair.encode(prompt), gamma, limit)
        if answer is None:
            return None
        if tuple(answer) != best:
            return f"{prompt!r}, gamma {gamma}: {_loop_question(answer, best)}"
    return right()


def _loop_question(answer: Sequence[int], best: Sequence[int]) -> str:
    same = first_difference(answer, best)
    if same == len(best):
        return tr(
            "the text is right, then {extra} tokens too many. Where may a round stop in the "
            "middle of its drafts?",
            extra=len(answer) - same,
        )
    if same == len(answer):
        return tr(
            "it stops after {same} of {whole} tokens. What ends your loop?",
            same=same,
            whole=len(best),
        )
    if same == 0:
        return tr("the first token is wrong. Which row of the prefill's logits predicts it?")
    return tr(
        "{same} tokens are right, then it differs. After a rejection: which row gives the "
        "correction, how many entries must leave the cache, and is the newest token passed again?",
        same=same,
    )


def _pairs_of_distributions() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    weights = torch.rand(4, 2, 6, generator=generator, dtype=torch.float64)
    return [(p / p.sum(), q / q.sum()) for p, q in weights]


@tried(_pairs_of_distributions(), residual_distribution, got="")
def residual(answer: Tensor, best: Tensor, p: Tensor, q: Tensor) -> str:
    """Lesson 05: the distribution after a rejection."""
    total = float(answer.sum())
    if (answer < 0).any():
        return tr("Some of it is negative. What becomes of tokens that q has more of than p?")
    if not math.isclose(total, 1, rel_tol=1e-5):
        return tr("It sums to {total:.3f}. What makes a distribution of what is left?", total=total)
    return tr("It is a distribution, but not this one. Which mass did accepted drafts leave over?")


@tried(
    _pairs_of_distributions(), emitted_distribution, "", praise=marked("It is p, whatever q is.")
)
def emitted(answer: Tensor, best: Tensor, p: Tensor, q: Tensor) -> str:
    """Lesson 05: the distribution of the token that draft, verify and correct give together."""
    total = float(answer.sum())
    return tr(
        "It sums to {total:.3f}, and it is not p. Did you count the rejected mass?"
        if total < 0.999
        else "It sums to {total:.3f}, and it is not p. Did you count the chance of "
        "q(x) that x is drafted?",
        total=total,
    )


@tried(
    [(10, 64), (65, 64), (66, 64), (300, 64), (1, 8)],
    lambda length, window: (length - 1, min(window, length - 1)),
)
def visible_entries(answer: Any, best: Any, length: int, window: int) -> str:
    """Lesson 06: KV entries that a full and a sliding layer of the drafter see."""
    if answer[0] == length:
        return tr("Has the newest token gone through the target, so that it has keys and values?")
    if answer[0] != best[0]:
        return tr("Which tokens have gone through the target when a draft starts?")
    if answer[1] > best[1]:
        return tr("Can a sliding layer see more than its window, or more than there is?")
    return tr("How far back does a sliding layer see, from the token before the newest one?")


@tried(
    [(2048, 128, 16), (262_144, 2048, 32), (1000, 10, 10)],  # the second is the real E2B: about 43
    lambda vocabulary, clusters, k: vocabulary / (clusters + vocabulary // clusters * k),
)
def times_less_work(answer: float, best: float, vocabulary: int, clusters: int, k: int) -> str:
    """Lesson 06: how many times less a centroid head multiplies."""
    if agrees(answer * best, 1):
        return tr("That is the share of the work that is left. How many times less is it?")
    if agrees(answer, clusters / k):
        return tr("Those are scores of tokens. What must be scored first, to know the clusters?")
    return tr("How many scores does each head compute: of the vocabulary, clusters, tokens?")


@answered
def needs_the_loop(answer: str, results: Sequence[AblationResult]) -> str:
    """Lesson 06: the change that leaves the first draft alone, and costs the later ones most."""
    untouched = [r for r in results if math.isclose(r.kept[0], r.as_is[0])]
    best = max(untouched, key=lambda r: sum(r.as_is) - r.mean_kept)
    if answer not in (parts := [r.part for r in results]):
        known = ", ".join(map(repr, parts))
        return tr("{answer!r} is not one of {known}.", answer=answer, known=known)
    if answer not in [r.part for r in untouched]:
        return tr(
            "{answer!r} changes the first draft too. Which rows have the same first number?",
            answer=answer,
        )
    if answer != best.part:
        return tr(
            "{answer!r} leaves the first draft alone, but does another row lose more behind it?",
            answer=answer,
        )
    return right(
        tr(
            "The last draft is kept in {kept:.0%} of all chains instead of {whole:.0%}, the first "
            "one as often as before.",
            kept=best.kept[-1],
            whole=best.as_is[-1],
        )
    )
