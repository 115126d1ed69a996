"""Exercise checkers of lessons 00 to 04, which a cell ends with; the others are handed on."""

import math
import sys
from collections.abc import Sequence
from typing import Any

from gemma_mtp_edu.analysis.metrics import first_difference
from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons import checks_loop, checks_measuring
from gemma_mtp_edu.lessons.checking import Rows, agrees, answered, tried
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair


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
    yield True, "A round that costs as much as n decode steps must commit how many tokens?"


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


@tried([()], lambda trace: tuple(r.n_accepted for r in trace.rounds), got="")
def accepted_by_text(answer: Sequence[int], best: Sequence[int], trace: GenerationTrace) -> Rows:
    """Lesson 03: accepted drafts of every round, from the finished text alone."""
    known = {"index": first_difference(answer, best)}
    yield len(answer) != len(best), "How many rounds are there, the prefill counted?"
    yield True, "Round {index} differs. Where in prompt and text does its first draft stand?", known
