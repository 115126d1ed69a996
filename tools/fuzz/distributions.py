"""What a text's tokens should be drawn from, by one pass without a cache; whether they are."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import torch
from scipy import stats
from torch import Tensor

from gemma_mtp_edu.core.sampling import Settings
from tools.fuzz.cases import Setting
from tools.fuzz.models import processors_of


@torch.no_grad()
def of_tokens(model: Any, setting: Setting, prompt: Sequence[int], text: Sequence[int]) -> Tensor:
    """Return p of each token of a text, and of the one after it: `[tokens + 1, vocab]`."""
    ids = torch.tensor([[*prompt, *text]])
    rows = torch.arange(len(prompt) - 1, ids.shape[1])
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=rows).logits[0].float()
    chain = (
        Settings(
            temperature=setting.temperature,
            top_k=setting.top_k,
            top_p=setting.top_p,
            repetition_penalty=setting.repetition_penalty,
            logits_processor=processors_of(setting),
        )
        .sampler(ids.device)
        .processors
    )
    rows = [chain(ids[:, : len(prompt) + i], row[None]) for i, row in enumerate(logits)]
    return torch.cat(rows).double().softmax(-1)


def places(
    distributions: Tensor, text: Sequence[int], guesses: Mapping[int, Tensor], seed: int
) -> list[float]:
    """Return where each token lies in its distribution: uniform numbers if it was drawn from it.

    The distribution cuts the line from 0 to 1 into one piece for each token; the number is drawn
    evenly from the piece of the token that was written (the randomised probability integral
    transform). Each is uniform given all before it, whatever ended the text, so those of many texts
    can be pooled.

    Args:
        distributions: Of each token.
        text: The tokens.
        guesses: By place in the text, the drafter's q there. Its likeliest token gets the first
            piece, so that a rule which favours what was drafted shifts the numbers to one side.
            Elsewhere the likeliest token of the distribution itself comes first.
        seed: Of the numbers within a piece.
    """
    random, found = Random(seed), []
    for place, (distribution, token) in enumerate(zip(distributions, text, strict=False)):
        ranked = distribution.argsort(descending=True, stable=True)
        if place in guesses:
            ranked = ranked[guesses[place][ranked].argsort(descending=True, stable=True)]
        rank = int((ranked == token).nonzero())
        before = distribution[ranked[:rank]].sum()
        found.append(float(before + random.random() * distribution[token]))
    return found


def uniform_p_value(numbers: Sequence[float]) -> float | None:
    """Return how probable numbers as uneven as these are if they are uniform; None of few ones."""
    return float(stats.kstest(numbers, "uniform").pvalue) if len(numbers) >= 50 else None
