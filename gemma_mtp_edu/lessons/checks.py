"""Exercise checkers of lessons 00 to 06, which a cell ends with; the others are handed on."""

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.analysis.ablation import AblationResult
from gemma_mtp_edu.analysis.lossless import emitted_distribution, first_difference
from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.core.decoding import autoregressive_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.core.verification import residual_distribution
from gemma_mtp_edu.lessons import checks_measuring
from gemma_mtp_edu.lessons.checking import Rows, agrees, answered, tried
from gemma_mtp_edu.lessons.language import marked
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair

__getattr__ = checks_measuring.__getattribute__
_PAIRS = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(5)).double().softmax(-1)


def check(exercise: str, *answer: Any) -> None:
    """Say whether an answer to an exercise, by its name, is right, or ask what helps."""
    getattr(sys.modules[__name__], exercise)(*answer)


@tried([(60, 1), (61, 5), (60, 5), (1, 5), (2, 3)], lambda n, k: 1 + math.ceil((n - 1) / k))
def passes_needed(answer: int, best: int, *case: int) -> Rows:
    """Lesson 00: target passes for `n_tokens` when every round commits `per_round` tokens."""
    yield answer == best - 1, "Which pass reads the prompt, and what does it give?"
    yield True, "How many tokens are left after the prefill, and is the last round always full?"


@answered
def saved_passes(answer: int, plain: GenerationTrace, assisted: GenerationTrace) -> Rows:
    """Lesson 00: how many target passes the drafter saved."""
    before, after = plain.target_passes, assisted.target_passes
    yield before - after == answer, "{before} passes became {after}."
    drafts = assisted.n_accepted
    yield answer == drafts, "So many were accepted, but the text may end inside the drafts. Did it?"
    yield True, "Not {answer}. Which property of the two traces counts the target's passes?"


@answered
def hard_prompt(pair: ModelPair, prompt: str | None) -> Rows:
    """Lesson 00: a prompt of which less than half of the drafts are accepted."""
    if prompt is not None:
        rate = reference_generate(pair, prompt, gamma=4).acceptance_rate
        hard = rate is not None and rate < 0.5
        yield hard, "Only {rate:.0%} of the drafts were accepted."
        yield rate is None, "There was no draft to accept. Which prompt gets a longer answer?"
        yield True, "{rate:.0%} were accepted, below 50% is wanted. What is hard to guess?"


@tried([(2.3e9, 2, 320e9), (2.3e9, 1, 320e9), (31e9, 2, 3.35e12)], lambda n, size, b: n * size / b)
def memory_floor(answer: float, best: float, *case: float) -> Rows:
    """Lesson 01: least seconds per token from parameters, bytes per parameter and bandwidth."""
    yield agrees(answer * best, 1), "Those are tokens per second. What are the seconds per token?"
    yield True, "How many bytes does one pass read, and how many come per second?"


@tried([(1.1, 4, 0.1), (1.0, 4, 0.0), (1.5, 8, 0.25)], lambda verify, n, step: verify + n * step)
def break_even(answer: float, best: float, *case: float) -> Rows:
    """Lesson 01: tokens a round must commit so that drafting costs no time."""
    yield answer < best, "Does your round hold the verify pass and every drafter step?"
    yield True, "A round that costs as much as n plain passes must commit how many tokens?"


@answered
def kv_layer(answer: int, pair: ModelPair) -> Rows:
    """Lesson 02: the target layer whose full-attention KV the drafter reads."""
    last = pair.target.config.get_text_config().num_hidden_layers - 1
    full, sliding = kv_layers(pair.target.config).values()
    yield answer == full, "It is the last full-attention layer that still makes KV of its own."
    yield answer == last, "It has full attention, but does it make keys and values, or share them?"
    yield answer == sliding, "That is sliding-window KV. Which layer does it for full attention?"
    yield True, "Not {answer}. Look at the figure: which tall bar is marked as handed over?"


@tried([(262_144, 2048, 32), (2048, 128, 16), (1000, 10, 1)], lambda v, c, k: v // c * k)
def scored_tokens(answer: int, best: int, *case: int) -> Rows:
    """Lesson 02: tokens that a centroid head scores, from vocabulary, clusters and top-k."""
    yield True, "How many tokens are in one cluster, and how many clusters are searched?"


@tried([()], lambda trace: trace.token_ids, got="")
def tokens_of_rounds(answer: Sequence[int], best: Sequence[int], trace: GenerationTrace) -> Rows:
    """Lesson 03: the text's token ids, put together from the rounds."""
    have, whole = len(answer), len(best)
    drafts = have == trace.n_accepted <= whole
    yield drafts, "These are the accepted drafts. What does the target add in every round?"
    yield have > whole, "You have {have} tokens of {whole}. Do rejected drafts count?"
    yield True, "You have {have} tokens of {whole}. Is the prefill among them?"


@answered
def surest_mistake(answer: int, trace: GenerationTrace) -> Rows:
    """Lesson 03: the round whose rejected draft the drafter was surest of."""
    ends = {i: r for i, r in enumerate(trace.rounds) if r.next_kind == "correction"}
    wrong = {i: r.draft_probs[r.n_accepted] for i, r in ends.items()}
    prob, most = wrong.get(answer, -1), max(wrong.values(), default=0)
    yield prob == most, "The drafter gave {prob:.0%} to a draft that the target rejected."
    yield prob < 0, "In round {answer} no draft was rejected. Which rounds end with a correction?"
    yield True, "There it gave {prob:.0%}. Is there a rejected draft with more?"


@tried(
    [([5, 8], [5, 7, 9]), ([5, 7], [5, 7, 9]), ([1, 7], [5, 7, 9]), ([], [4]), ([3, 1], [3, 2, 3])],
    lambda drafts, own: next((i, x) for i, x in enumerate(own) if drafts[i : i + 1] != [x]),
    got=marked("For drafts {drafts} and target {wanted} you got {answer}."),
)
def greedy_round(answer: Any, best: Any, drafts: list[int], wanted: list[int]) -> Rows:
    """Lesson 04: accepted drafts and the target's own token, from two lists of token ids."""
    kept = answer[0]
    yield kept > best[0], "May a draft count that stands after a wrong one?"
    yield kept < best[0], "Does the comparison stop too early: is the draft at that place wrong?"
    yield kept == len(drafts), "All drafts hold. Which of the target's tokens follows the last?"
    yield True, "What stands in the place of the first wrong draft: whose token?"


@tried(
    [("Count from 7 to 12.", 4, 40), ("Tell me a story.", 3, 40), ("Tell me a story.", 5, 17)],
    lambda text, _, n, pair: autoregressive_generate(pair, text, max_new_tokens=n).token_ids,
    got=marked("{prompt!r}, gamma {gamma}:"),
)
def _loop(answer: Sequence[int], best: Sequence[int], prompt: str, gamma: int, *_: Any) -> Rows:
    same, have, whole = first_difference(answer, best), len(answer), len(best)
    extra = {"extra": have - whole}
    yield same == whole, "{extra} tokens too many. Where may a round stop in its drafts?", extra
    yield same == have, "it stops after {same} of {whole} tokens. What ends your loop?"
    yield same == 0, "the first token is wrong. Which row of the prefill's logits predicts it?"
    yield (
        True,
        "{same} tokens are right, then it differs. After a rejection: which row gives the "
        "correction, how many entries must leave the cache, and is the newest token passed again?",
    )


def greedy_loop(function: Callable[..., Any], pair: ModelPair) -> None:
    """Lesson 04: a whole speculative loop, against plain decoding."""
    _loop(lambda prompt, *size: function(pair, pair.encode(prompt), *size[:2]), pair)


@tried(_PAIRS, residual_distribution, got="")
def residual(answer: Tensor, best: Tensor, p: Tensor, q: Tensor) -> Rows:
    """Lesson 05: the distribution after a rejection."""
    one, known = agrees(answer.sum(), 1, rel_tol=1e-5), {"total": float(answer.sum())}
    yield (answer < 0).any(), "Some is negative. What becomes of tokens that q has more of than p?"
    yield not one, "It sums to {total:.3f}. What makes a distribution of what is left?", known
    yield True, "It is a distribution, but not this one. Which mass did accepted drafts leave over?"


@tried(_PAIRS, emitted_distribution, "", marked("It is p, whatever q is."))
def emitted(answer: Tensor, best: Tensor, p: Tensor, q: Tensor) -> Rows:
    """Lesson 05: the distribution of the token that draft, verify and correct give together."""
    yield answer.sum() < 0.999, "It sums to less than 1. Did you count the rejected mass?"
    yield True, "It sums to 1, but is not p. Did you count the chance of q(x) that x is drafted?"


@tried([(10, 64), (65, 64), (66, 64), (300, 64), (1, 8)], lambda n, w: (n - 1, min(w, n - 1)))
def visible_entries(answer: Any, best: Any, length: int, window: int) -> Rows:
    """Lesson 06: KV entries that a full and a sliding layer of the drafter see."""
    full, sliding = (*answer, -1, -1)[:2]
    yield full == length, "Has the newest token gone through the target, to have keys and values?"
    yield full != best[0], "Which tokens have gone through the target when a draft starts?"
    yield sliding > best[1], "Can a sliding layer see more than its window, or than there is?"
    yield True, "How far back does a sliding layer see, from the token before the newest one?"


# The second case is the real E2B: about 43.
@tried([(2048, 128, 16), (262_144, 2048, 32), (90, 9, 9)], lambda v, c, k: v / (c + v // c * k))
def times_less_work(answer: float, best: float, vocabulary: int, clusters: int, k: int) -> Rows:
    """Lesson 06: how many times less a centroid head multiplies."""
    yield agrees(answer * best, 1), "That share of the work is left. How many times less is it?"
    yield agrees(answer, clusters / k), "What must be scored first, to know the clusters?"
    yield True, "How many scores does each head compute: of the vocabulary, clusters, tokens?"


@answered
def needs_the_loop(answer: str, results: Sequence[AblationResult]) -> Rows:
    """Lesson 06: the change that leaves the first draft alone, and costs the later ones most."""
    untouched = {r.part: r for r in results if math.isclose(r.kept[0], r.as_is[0])}
    best = max(untouched.values(), key=lambda r: sum(r.as_is) - r.mean_kept)
    ends, parts = {"kept": best.kept[-1], "whole": best.as_is[-1]}, [r.part for r in results]
    right, known = answer == best.part, {"known": ", ".join(map(repr, parts))}
    yield right, "The last draft is kept in {kept:.0%} of chains instead of {whole:.0%}.", ends
    yield answer not in parts, "{answer!r} is not one of {known}.", known
    yield answer not in untouched, "{answer!r} changes the first draft too. Which rows do not?"
    yield True, "{answer!r} spares the first draft, but does another row lose more behind it?"
