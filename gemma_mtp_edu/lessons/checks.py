"""Exercise checkers: they take the learner's answer or function, and ask the question that helps.

An exercise cell ends with one call. An answer of None, or a function that returns None, counts as
not tried yet, so an unfinished notebook still runs from top to bottom.
"""

import math
from collections.abc import Callable

from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.checks_anatomy import needs_the_loop as needs_the_loop
from gemma_mtp_edu.lessons.checks_anatomy import times_less_work as times_less_work
from gemma_mtp_edu.lessons.checks_anatomy import visible_entries as visible_entries
from gemma_mtp_edu.lessons.checks_cost import end_to_end as end_to_end
from gemma_mtp_edu.lessons.checks_cost import fair_speedup as fair_speedup
from gemma_mtp_edu.lessons.checks_cost import round_costs as round_costs
from gemma_mtp_edu.lessons.checks_cost import smallest_alpha as smallest_alpha
from gemma_mtp_edu.lessons.checks_cost import tokens_per_round as tokens_per_round
from gemma_mtp_edu.lessons.checks_cost import wrong_benchmarks as wrong_benchmarks
from gemma_mtp_edu.lessons.checks_decoding import NOT_TRIED, RIGHT, agrees
from gemma_mtp_edu.lessons.checks_decoding import emitted as emitted
from gemma_mtp_edu.lessons.checks_decoding import greedy_loop as greedy_loop
from gemma_mtp_edu.lessons.checks_decoding import greedy_round as greedy_round
from gemma_mtp_edu.lessons.checks_decoding import residual as residual
from gemma_mtp_edu.lessons.checks_decoding import surest_mistake as surest_mistake
from gemma_mtp_edu.lessons.checks_decoding import tokens_of_rounds as tokens_of_rounds
from gemma_mtp_edu.lessons.checks_finale import cache_entries as cache_entries
from gemma_mtp_edu.lessons.checks_finale import kept_speed as kept_speed
from gemma_mtp_edu.lessons.checks_finale import one_length as one_length
from gemma_mtp_edu.lessons.checks_tradeoff import best_length as best_length
from gemma_mtp_edu.lessons.checks_tradeoff import best_threshold as best_threshold
from gemma_mtp_edu.lessons.checks_tradeoff import heuristic_rule as heuristic_rule
from gemma_mtp_edu.lessons.checks_tradeoff import rounds_needed as rounds_needed
from gemma_mtp_edu.lessons.checks_training import may_see as may_see
from gemma_mtp_edu.lessons.checks_training import rejection_probability as rejection_probability
from gemma_mtp_edu.lessons.language import sentences, tr
from gemma_mtp_edu.models.compatibility import kv_layers
from gemma_mtp_edu.models.pairs import ModelPair


def passes_needed(function: Callable[[int, int], int | None]) -> None:
    """Lesson 00: target passes for `n_tokens` when every round commits `per_round` tokens."""
    for n_tokens, per_round in ((60, 1), (61, 5), (60, 5), (1, 5), (2, 3)):
        expected = 1 + math.ceil((n_tokens - 1) / per_round)
        if not agrees(function, (n_tokens, per_round), expected, _passes_question):
            return
    print(tr(RIGHT))


def saved_passes(answer: int | None, plain: GenerationTrace, assisted: GenerationTrace) -> None:
    """Lesson 00: how many target passes the drafter saved."""
    expected = plain.target_passes - assisted.target_passes
    if answer is None:
        print(tr(NOT_TRIED))
    elif answer == expected:
        became = tr(
            "{plain} passes became {assisted}.",
            plain=plain.target_passes,
            assisted=assisted.target_passes,
        )
        print(sentences(tr(RIGHT), became))
    elif answer == assisted.n_accepted:
        print(
            tr(
                "{answer} is the number of accepted drafts. Each saves a pass only if its round "
                "was not the last: did the text end inside the drafts?",
                answer=answer,
            )
        )
    else:
        print(
            tr(
                "Not {answer}. Which property of the two traces counts the target's passes?",
                answer=answer,
            )
        )


def hard_prompt(pair: ModelPair, prompt: str | None, *, below: float = 0.5) -> None:
    """Lesson 00: a prompt whose drafts are mostly rejected."""
    if prompt is None:
        print(tr(NOT_TRIED))
        return
    rate = reference_generate(pair, prompt, gamma=4).acceptance_rate
    if rate is None:
        print(tr("The text ended before anything was drafted. Which prompt gets a longer answer?"))
    elif rate < below:
        only = tr("Only {rate:.0%} of the drafts were accepted.", rate=rate)
        print(sentences(tr(RIGHT), only))
    else:
        print(
            tr(
                "{rate:.0%} were accepted, below {below:.0%} is wanted. What is hard to guess?",
                rate=rate,
                below=below,
            )
        )


def memory_floor(function: Callable[[float, float, float], float | None]) -> None:
    """Lesson 01: least seconds per token from parameters, bytes per parameter and bandwidth."""
    for case in ((2.3e9, 2, 320e9), (2.3e9, 1, 320e9), (31e9, 2, 3.35e12)):
        parameters, size, bandwidth = case
        if not agrees(function, case, parameters * size / bandwidth, _floor_question):
            return
    print(tr(RIGHT))


def break_even(function: Callable[[float, int, float], float | None]) -> None:
    """Lesson 01: tokens a round must commit so that drafting costs no time."""
    for case in ((1.1, 4, 0.1), (1.0, 4, 0.0), (1.5, 8, 0.25)):
        verify, gamma, drafter = case
        if not agrees(function, case, verify + gamma * drafter, _break_even_question):
            return
    print(tr(RIGHT))


def kv_layer(answer: int | None, pair: ModelPair) -> None:
    """Lesson 02: the target layer whose full-attention KV the drafter reads."""
    producers = kv_layers(pair.target.config)
    text = pair.target.config.get_text_config()
    if answer is None:
        print(tr(NOT_TRIED))
    elif answer == producers["full_attention"]:
        last = tr("It is the last full-attention layer that still makes KV of its own.")
        print(sentences(tr(RIGHT), last))
    elif answer == text.num_hidden_layers - 1:
        print(tr("That layer has full attention, but does it make keys and values, or share them?"))
    elif answer == producers["sliding_attention"]:
        print(
            tr("That one hands over the sliding-window KV. Which one does it for full attention?")
        )
    else:
        print(
            tr(
                "Not {answer}. Look at the figure: which tall bar is marked as handed over?",
                answer=answer,
            )
        )


def scored_tokens(function: Callable[[int, int, int], int | None]) -> None:
    """Lesson 02: tokens that a centroid head scores, from vocabulary, clusters and top-k."""
    for case in ((262_144, 2048, 32), (2048, 128, 16), (1000, 10, 1)):
        vocabulary, centroids, top_k = case
        if not agrees(function, case, vocabulary // centroids * top_k, _centroid_question):
            return
    print(tr(RIGHT))


def _passes_question(answer: float, expected: float) -> str:
    if answer == expected - 1:
        return tr("Which pass reads the prompt, and what does it give?")
    return tr("How many tokens are left after the prefill, and is the last round always full?")


def _floor_question(answer: float, expected: float) -> str:
    if math.isclose(answer * expected, 1, rel_tol=1e-6):
        return tr("Those are tokens per second. What are the seconds per token?")
    return tr("How many bytes does one pass read, and how many come per second?")


def _break_even_question(answer: float, expected: float) -> str:
    if answer < expected:
        return tr("Does your cost of a round hold both the verify pass and every drafter step?")
    return tr("A round that costs as much as n plain passes must commit how many tokens?")


def _centroid_question(answer: float, expected: float) -> str:
    return tr("How many tokens are in one cluster, and how many clusters are searched?")
