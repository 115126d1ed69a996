"""Exercise checkers of lessons 00 to 04, which a cell ends with; the others are handed on."""

import math
import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.analysis.metrics import first_difference
from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons import checks_loop, checks_measuring
from gemma_mtp_edu.lessons.checking import Rows, agrees, tried
from gemma_mtp_edu.models.pairs import ModelPair

_TOKENS = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))


def __getattr__(name: str) -> Any:
    return getattr(checks_loop if hasattr(checks_loop, name) else checks_measuring, name)


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
    yield True, "A round that costs as much as n decode steps must commit how many tokens?"


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


@tried([()], lambda trace: tuple(r.n_accepted for r in trace.rounds), got="")
def accepted_by_text(answer: Sequence[int], best: Sequence[int], trace: GenerationTrace) -> Rows:
    """Lesson 03: accepted drafts of every round, from the finished text alone."""
    known = {"index": first_difference(answer, best)}
    yield len(answer) != len(best), "How many rounds are there, the prefill counted?"
    yield True, "Round {index} differs. Where in prompt and text does its first draft stand?", known
