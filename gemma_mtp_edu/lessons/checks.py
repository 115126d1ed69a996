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
from gemma_mtp_edu.models.pairs import ModelPair

__getattr__ = checks_measuring.__getattribute__
_TOKENS = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
_PAIRS = torch.randn(4, 2, 6, generator=torch.Generator().manual_seed(5)).double().softmax(-1)


def check(exercise: str, *answer: Any) -> None:
    """Say whether an answer to an exercise, by its name, is right, or ask what helps."""
    getattr(sys.modules[__name__], exercise)(*answer)


@tried([(60, 1), (61, 5), (60, 5), (1, 5), (2, 3)], lambda n, k: 1 + math.ceil((n - 1) / k))
def passes_needed(answer: int, best: int, *case: int) -> Rows:
    """Lesson 00: target passes for `n_tokens` when every round commits `per_round` tokens."""
    yield answer == best - 1, "Which pass reads the prompt, and what does it give?"
    yield True, "How many tokens are left after the prefill, and is the last round always full?"


def _compared(prompt: str, pair: ModelPair) -> tuple[bool, int, int]:
    one, two = (reference_generate(pair, prompt, assisted=how) for how in (False, True))
    return one.token_ids == two.token_ids, one.target_passes, two.target_passes


@tried([("Count from 5 to 9.",), ("Name two birds.",)], _compared)
def compare_runs(answer: Any, best: Any, prompt: str, pair: ModelPair) -> Rows:
    """Lesson 00: the same text? target passes alone, target passes with the drafter."""
    yield tuple(answer[1:]) == best[:0:-1], "Which of the two runs had the drafter?"
    yield answer[1] > best[1], "Too many passes alone. Which runs does your hook count?"
    yield answer[1] < best[1], "Too few passes alone. Is the prefill among them?"
    yield True, "Do both runs have the same prompt and the same limit of new tokens?"


@tried([(1.1, 4, 0.1), (1.0, 4, 0.0), (1.5, 8, 0.25)], lambda verify, n, step: verify + n * step)
def break_even(answer: float, best: float, *case: float) -> Rows:
    """Lesson 01: tokens a round must commit so that drafting costs no time."""
    yield answer < best, "Does your round hold the verify pass and every drafter step?"
    yield True, "A round that costs as much as n plain passes must commit how many tokens?"


@tried([(128, 8, 1), (128, 8, 5), (8, 2, 4)], lambda e, k, n: e * (1 - (1 - k / e) ** n))
def experts_read(answer: float, best: float, e: int, k: int, n: int) -> Rows:
    """Lesson 01: of `e` experts those that `n` tokens read, each of them `k`, on average."""
    yield agrees(answer, min(e, k * n)), "So many if no two tokens shared one. Is that likely?"
    yield agrees(e - answer, best), "So many are left out. How many are read?"
    yield True, "With what probability does one token leave an expert out, and all of them?"


@tried(
    [(["sliding", "full"], 0), (["sliding", "sliding", "full"] * 2, 2), (["full", "sliding"], 0)],
    lambda kinds, n: tuple(max(i for i in range(len(kinds) - n) if kinds[i] == kind)
                           for kind in ("full", "sliding")),
)  # fmt: skip
def kv_sources(answer: Any, best: Any, layer_types: list[str], n_shared: int) -> Rows:
    """Lesson 02: the full and the sliding layer of the target whose KV the drafter reads."""
    yield tuple(answer) == best[::-1], "Which of the two is the full-attention layer?"
    shared = max(answer) >= len(layer_types) - n_shared
    yield shared, "Does that layer make keys and values, or share those of an earlier one?"
    yield True, "Is it the last layer of its kind that makes its own? And if none is shared?"


def _seen(q: Tensor, keys: Tensor, values: Tensor, at: int | None = None) -> Tensor:
    mask = torch.ones(len(q), len(keys)).tril(len(keys) - len(q) if at is None else at).bool()
    return torch.nn.functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


@tried([[_TOKENS[n:], _TOKENS, _TOKENS.flip(1)] for n in (5, 2, 0)], _seen, got="")
def attend(answer: Tensor, best: Tensor, q: Tensor, keys: Tensor, values: Tensor) -> Rows:
    """Lesson 02: attention of the last tokens over cached and new keys and values."""
    whole, square = agrees(answer, _seen(q, keys, values, 9)), _seen(q, keys, values, 0)
    yield whole, "Every token sees every key. Which keys belong to later tokens?"
    yield agrees(answer, square), "How many cached keys stand before the first query's own?"
    yield True, "Are scores divided by the root of the head size, and is each row a softmax?"


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
    full, sliding = answer
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
