"""Exercise checkers: they take the learner's answer or function, and ask the question that helps.

An exercise cell ends with one call. Those of lessons 00 to 02 stand here; the others are handed on.
"""

import math

from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.checks_cost import MISTAKES as MISTAKES
from gemma_mtp_edu.lessons.checks_cost import best_length as best_length
from gemma_mtp_edu.lessons.checks_cost import best_threshold as best_threshold
from gemma_mtp_edu.lessons.checks_cost import cache_entries as cache_entries
from gemma_mtp_edu.lessons.checks_cost import end_to_end as end_to_end
from gemma_mtp_edu.lessons.checks_cost import fair_speedup as fair_speedup
from gemma_mtp_edu.lessons.checks_cost import heuristic_rule as heuristic_rule
from gemma_mtp_edu.lessons.checks_cost import kept_speed as kept_speed
from gemma_mtp_edu.lessons.checks_cost import may_see as may_see
from gemma_mtp_edu.lessons.checks_cost import one_length as one_length
from gemma_mtp_edu.lessons.checks_cost import rejection_probability as rejection_probability
from gemma_mtp_edu.lessons.checks_cost import round_costs as round_costs
from gemma_mtp_edu.lessons.checks_cost import rounds_needed as rounds_needed
from gemma_mtp_edu.lessons.checks_cost import smallest_alpha as smallest_alpha
from gemma_mtp_edu.lessons.checks_cost import tokens_per_round as tokens_per_round
from gemma_mtp_edu.lessons.checks_cost import wrong_benchmarks as wrong_benchmarks
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
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair


@tried(
    [(60, 1), (61, 5), (60, 5), (1, 5), (2, 3)],
    lambda n_tokens, per_round: 1 + math.ceil((n_tokens - 1) / per_round),
)
def passes_needed(answer: int, best: int, n_tokens: int, per_round: int) -> str:
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
def memory_floor(
    answer: float, best: float, parameters: float, size: float, bandwidth: float
) -> str:
    """Lesson 01: least seconds per token from parameters, bytes per parameter and bandwidth."""
    if agrees(answer * best, 1):
        return tr("Those are tokens per second. What are the seconds per token?")
    return tr("How many bytes does one pass read, and how many come per second?")


@tried(
    [(1.1, 4, 0.1), (1.0, 4, 0.0), (1.5, 8, 0.25)],
    lambda verify, gamma, drafter: verify + gamma * drafter,
)
def break_even(answer: float, best: float, verify: float, gamma: int, drafter: float) -> str:
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
        return tr(
            "That one hands over the sliding-window KV. Which one does it for full attention?"
        )
    return tr(
        "Not {answer}. Look at the figure: which tall bar is marked as handed over?", answer=answer
    )


@tried(
    [(262_144, 2048, 32), (2048, 128, 16), (1000, 10, 1)],
    lambda vocabulary, clusters, k: vocabulary // clusters * k,
)
def scored_tokens(answer: int, best: int, vocabulary: int, clusters: int, top_k: int) -> str:
    """Lesson 02: tokens that a centroid head scores, from vocabulary, clusters and top-k."""
    return tr("How many tokens are in one cluster, and how many clusters are searched?")
