"""Exercise checkers: they take the learner's answer or function, and ask the question that helps.

An exercise cell ends with one call. Here stand those of lessons 00 to 02 and 07, the arithmetic of
passes and costs; the others are handed on.
"""

import math

from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.analysis.theory import break_even_alpha, expected_tokens
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.checks_decoding import NOT_TRIED as NOT_TRIED
from gemma_mtp_edu.lessons.checks_decoding import RIGHT as RIGHT
from gemma_mtp_edu.lessons.checks_decoding import agrees, answered, right, tried
from gemma_mtp_edu.lessons.checks_decoding import emitted as emitted
from gemma_mtp_edu.lessons.checks_decoding import greedy_loop as greedy_loop
from gemma_mtp_edu.lessons.checks_decoding import greedy_round as greedy_round
from gemma_mtp_edu.lessons.checks_decoding import needs_the_loop as needs_the_loop
from gemma_mtp_edu.lessons.checks_decoding import residual as residual
from gemma_mtp_edu.lessons.checks_decoding import surest_mistake as surest_mistake
from gemma_mtp_edu.lessons.checks_decoding import times_less_work as times_less_work
from gemma_mtp_edu.lessons.checks_decoding import tokens_of_rounds as tokens_of_rounds
from gemma_mtp_edu.lessons.checks_decoding import visible_entries as visible_entries
from gemma_mtp_edu.lessons.checks_measuring import MISTAKES as MISTAKES
from gemma_mtp_edu.lessons.checks_measuring import best_length as best_length
from gemma_mtp_edu.lessons.checks_measuring import best_threshold as best_threshold
from gemma_mtp_edu.lessons.checks_measuring import cache_entries as cache_entries
from gemma_mtp_edu.lessons.checks_measuring import end_to_end as end_to_end
from gemma_mtp_edu.lessons.checks_measuring import fair_speedup as fair_speedup
from gemma_mtp_edu.lessons.checks_measuring import heuristic_rule as heuristic_rule
from gemma_mtp_edu.lessons.checks_measuring import kept_speed as kept_speed
from gemma_mtp_edu.lessons.checks_measuring import may_see as may_see
from gemma_mtp_edu.lessons.checks_measuring import one_length as one_length
from gemma_mtp_edu.lessons.checks_measuring import rejection_probability as rejection_probability
from gemma_mtp_edu.lessons.checks_measuring import rounds_needed as rounds_needed
from gemma_mtp_edu.lessons.checks_measuring import wrong_benchmarks as wrong_benchmarks
from gemma_mtp_edu.lessons.language import sentences, tr
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair


@tried(
    [(60, 1), (61, 5), (60, 5), (1, 5), (2, 3)],
    lambda n_tokens, per_round: 1 + math.ceil((n_tokens - 1) / per_round),
)
def passes_needed(answer: int, best: int, *case: int) -> str:
    """Lesson 00: target passes for `n_tokens` when every round commits `per_round` tokens."""
    if answer == best - 1:
        return tr("Which pass reads the prompt, and what does it give?")
    return tr("How many tokens are left after the prefill, and is the last round always full?")


@answered
def saved_passes(answer: int, plain: GenerationTrace, assisted: GenerationTrace) -> str:
    """Lesson 00: how many target passes the drafter saved."""
    before, after = plain.target_passes, assisted.target_passes
    if answer == before - after:
        return right(tr("{plain} passes became {assisted}.", plain=before, assisted=after))
    if answer == assisted.n_accepted:
        return tr(
            "{answer} is the number of accepted drafts. Each saves a pass only if its round "
            "was not the last: did the text end inside the drafts?",
            answer=answer,
        )
    return tr(
        "Not {answer}. Which property of the two traces counts the target's passes?", answer=answer
    )


@answered
def hard_prompt(pair: ModelPair, prompt: str | None, *, below: float = 0.5) -> str | None:
    """Lesson 00: a prompt whose drafts are mostly rejected."""
    if prompt is None:
        return None
    rate = reference_generate(pair, prompt, gamma=4).acceptance_rate
    if rate is None:
        return tr("The text ended before anything was drafted. Which prompt gets a longer answer?")
    if rate < below:
        return right(tr("Only {rate:.0%} of the drafts were accepted.", rate=rate))
    return tr(
        "{rate:.0%} were accepted, below {below:.0%} is wanted. What is hard to guess?",
        rate=rate,
        below=below,
    )


@tried(
    [(2.3e9, 2, 320e9), (2.3e9, 1, 320e9), (31e9, 2, 3.35e12)],
    lambda parameters, size, bandwidth: parameters * size / bandwidth,
)
def memory_floor(answer: float, best: float, *case: float) -> str:
    """Lesson 01: least seconds per token from parameters, bytes per parameter and bandwidth."""
    if agrees(answer * best, 1):
        return tr("Those are tokens per second. What are the seconds per token?")
    return tr("How many bytes does one pass read, and how many come per second?")


@tried(
    [(1.1, 4, 0.1), (1.0, 4, 0.0), (1.5, 8, 0.25)],
    lambda verify, gamma, drafter: verify + gamma * drafter,
)
def break_even(answer: float, best: float, *case: float) -> str:
    """Lesson 01: tokens a round must commit so that drafting costs no time."""
    if answer < best:
        return tr("Does your cost of a round hold both the verify pass and every drafter step?")
    return tr("A round that costs as much as n plain passes must commit how many tokens?")


@answered
def kv_layer(answer: int, pair: ModelPair) -> str:
    """Lesson 02: the target layer whose full-attention KV the drafter reads."""
    producers = kv_layers(pair.target.config)
    if answer == producers["full_attention"]:
        return right(tr("It is the last full-attention layer that still makes KV of its own."))
    if answer == pair.target.config.get_text_config().num_hidden_layers - 1:
        return tr("That layer has full attention, but does it make keys and values, or share them?")
    if answer == producers["sliding_attention"]:
        return tr("That one hands over sliding-window KV. Which one does it for full attention?")
    return tr(
        "Not {answer}. Look at the figure: which tall bar is marked as handed over?", answer=answer
    )


@tried(
    [(262_144, 2048, 32), (2048, 128, 16), (1000, 10, 1)],
    lambda vocabulary, clusters, k: vocabulary // clusters * k,
)
def scored_tokens(answer: int, best: int, *case: int) -> str:
    """Lesson 02: tokens that a centroid head scores, from vocabulary, clusters and top-k."""
    return tr("How many tokens are in one cluster, and how many clusters are searched?")


@tried([(0.8, 4), (0.5, 2), (0.0, 3), (0.9, 0), (1.0, 4)], expected_tokens)
def tokens_per_round(answer: float, best: float, alpha: float, gamma: int) -> str:
    """Lesson 07: expected tokens of a round from alpha and gamma."""
    if agrees(answer, best - 1):
        return tr("These are the drafts that are kept. Which token does every round add?")
    if agrees(answer, 1 + alpha * gamma):
        return tr("Does the second draft count where the first one is wrong?")
    return tr("With which chance is the k-th draft kept, and what does a round write in any case?")


@answered
def round_costs(first: float, second: float | None) -> str | None:
    """Lesson 07: what a round costs in plain passes on the two machines of a published table."""
    if second is None:
        return None
    if question := _cost_question(first, 1.72):
        return sentences(tr("Not {answer:g} on the first machine.", answer=first), question)
    if question := _cost_question(second, 0.52):
        return sentences(tr("Not {answer:g} on the second machine.", answer=second), question)
    return right(
        tr(
            "About 1.2 and 3.9 plain passes. The source says why: on the second machine a pass "
            "over 4 tokens ran as 4 passes over one."
        )
    )


def _cost_question(answer: float, speedup: float) -> str:
    # Gemma 4 12B with 3 drafts per round keeps 1.05 (lablup/mlxcel, pull request 744).
    if math.isclose(answer, 2.05 / speedup, rel_tol=0.02):
        return ""
    if math.isclose(answer, 1.05 / speedup, rel_tol=0.02):
        return tr("The kept drafts are not all that a round writes. What else does it write?")
    if math.isclose(answer, speedup / 2.05, rel_tol=0.02):
        return tr("That is its inverse: rounds in the time of a plain pass.")
    return tr("How many tokens does a round write, and how many would plain decoding in that time?")


@tried(
    [(4, 1.6), (1, 1.4), (3, 3.94), (4, 1.0), (8, 3.0)],
    lambda gamma, cost: break_even_alpha(gamma, 0.0, lambda _: cost) or 0.0,
    within=0.0101,
)
def smallest_alpha(answer: float, best: float, *case: float) -> str:
    """Lesson 07: the least alpha, to a hundredth, that pays for a round of this cost."""
    if not 0 <= answer <= 1:
        return tr("Alpha is a share, from 0 to 1.")
    if answer < best:
        return tr("Does a round write as many tokens there as it costs plain passes?")
    return tr("Is there a smaller one that also pays?")
