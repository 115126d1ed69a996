"""Measure what constant draft lengths win on given texts, to be held against what was predicted."""

import statistics
from collections.abc import Mapping, Sequence

from jaxtyping import Int
from torch import Tensor

from gemma_mtp_edu.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.pairs import ModelPair
from gemma_mtp_edu.schedules import check_gamma
from gemma_mtp_edu.trace import GenerationTrace


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
    check_gamma(repeats, "repeats")
    for gamma in gammas:
        check_gamma(gamma)

    def run(name: str, gamma: int) -> GenerationTrace:
        if gamma == 0:
            return autoregressive_generate(pair, prompts[name], max_new_tokens=max_new_tokens)
        return speculative_generate(pair, prompts[name], gamma=gamma, max_new_tokens=max_new_tokens)

    cases = [(name, gamma) for name in prompts for gamma in (0, *gammas)]
    turns = [{case: run(*case) for case in cases} for _ in range(repeats + 1)]
    seconds = {
        case: statistics.median(
            sum(r.seconds for r in turn[case].draft_rounds) for turn in turns[1:]
        )
        for case in cases
    }
    return {
        name: {gamma: _ratio(seconds[name, 0], seconds[name, gamma]) for gamma in gammas}
        for name in prompts
    }


def _ratio(plain: float, drafted: float) -> float:
    # A text of one token has no round: nothing to win, nothing to lose.
    return plain / drafted if drafted else 1.0
