"""Measure what constant draft lengths win on given texts, to be held against what was predicted."""

import statistics
from collections.abc import Mapping, Sequence

from jaxtyping import Int
from torch import Tensor

from gemma_mtp_edu.core.arguments import check_kind, listed
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair


def measured_speedups(
    pair: ModelPair,
    prompts: Mapping[str, str | Int[Tensor, "1 seq"]],
    gammas: Sequence[int],
    *,
    max_new_tokens: int = 64,
    repeats: int = 3,
) -> dict[str, dict[int, float]]:
    """Return per text and draft length how many times as fast as plain decoding a run was.

    All runs take turns, so that a machine that slows down halfway favours none. The prefill, which
    no drafter changes, is left out, as it is in every prediction.

    Args:
        pair: The models; nothing else should run on their device meanwhile.
        prompts: Name and prompt of each text.
        gammas: Drafts in every round.
        max_new_tokens: Tokens to write at most.
        repeats: Timed turns; medians count. One more warms up.

    Raises:
        ValueError: A number is below 1.
    """
    gammas = listed(gammas, "gammas")
    runs = timed_runs(pair, prompts, gammas, max_new_tokens=max_new_tokens, repeats=repeats)
    seconds = {case: decoding_seconds(traces) for case, traces in runs.items()}
    return {
        name: {gamma: _ratio(seconds[name, 0], seconds[name, gamma]) for gamma in gammas}
        for name in prompts
    }


def timed_runs(
    pair: ModelPair,
    prompts: Mapping[str, str | Int[Tensor, "1 seq"]],
    gammas: Sequence[int],
    *,
    max_new_tokens: int = 64,
    repeats: int = 3,
) -> dict[tuple[str, int], list[GenerationTrace]]:
    """Return the timed runs of each text and draft length, 0 being plain decoding.

    The arguments are those of `measured_speedups`; the first turn, the warm-up, is left out.

    Raises:
        ValueError: A number is below 1.
    """
    check_kind(prompts, Mapping, "prompts", tr("a prompt for each name"))
    check_gamma(repeats)
    gammas = tuple(map(check_gamma, listed(gammas, "gammas")))

    def run(name: str, gamma: int) -> GenerationTrace:
        if gamma == 0:
            return autoregressive_generate(pair, prompts[name], max_new_tokens=max_new_tokens)
        return speculative_generate(pair, prompts[name], gamma=gamma, max_new_tokens=max_new_tokens)

    cases = [(name, gamma) for name in prompts for gamma in (0, *gammas)]
    turns = [{case: run(*case) for case in cases} for _ in range(repeats + 1)]
    return {case: [turn[case] for turn in turns[1:]] for case in cases}


def decoding_seconds(traces: Sequence[GenerationTrace]) -> float:
    """Return the median seconds of runs of one kind, the prefill left out."""
    return statistics.median(sum(r.seconds for r in trace.draft_rounds) for trace in traces)


def _ratio(plain: float, drafted: float) -> float:
    # A text of one token has no round: nothing to win, nothing to lose.
    return plain / drafted if drafted else 1.0
