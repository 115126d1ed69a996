"""Whole texts follow the target's joint distribution; the library's assisted ones do not."""

from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

from gemma_mtp_edu import ModelPair, reference_generate
from gemma_mtp_edu.core.decoding import speculative_generate
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.trace import GenerationTrace
from tests.model.tiny import Shape, tiny_pair

LENGTH = 3
Generate = Callable[..., GenerationTrace]


@pytest.fixture(scope="module")
def few_words() -> ModelPair:
    """A pair with four tokens, so that all texts of three can be listed."""
    pair = tiny_pair(Shape(vocab=4, centroids=2, shared_layers=0, per_layer_inputs=0, seed=1))
    with torch.no_grad():
        # Flat enough that no text is rare, different enough that drafts are rejected.
        pair.target.lm_head.weight.mul_(0.3)
        pair.drafter.lm_head.weight.normal_(0, 0.6)
    return pair


@torch.no_grad()
def joint_law(pair: ModelPair, ids: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Return the exact probability of every text, from uncached passes."""
    law = {}
    for text in product(range(4), repeat=LENGTH):
        full = torch.cat([ids, torch.tensor([text])], dim=1)
        probs = pair.target(input_ids=full, use_cache=False).logits[0].double().softmax(-1)
        start = ids.shape[1] - 1
        law[text] = float(np.prod([probs[start + i, t].item() for i, t in enumerate(text)]))
    return law


def p_value(pair: ModelPair, generate: Generate, runs: int) -> float:
    """Return how probable texts like the drawn ones are under the exact law."""
    ids = torch.tensor([[2, 0, 3]])
    law = joint_law(pair, ids)
    assert sum(law.values()) == pytest.approx(1.0)
    counts = Counter(generate(pair, ids, seed).token_ids for seed in range(runs))
    observed = [counts[text] for text in law]
    assert sum(observed) == runs
    return float(stats.chisquare(observed, [runs * p for p in law.values()]).pvalue)


def ours(pair: ModelPair, ids: torch.Tensor, seed: int) -> GenerationTrace:
    return speculative_generate(
        pair, ids, gamma=2, temperature=1.0, max_new_tokens=LENGTH, seed=seed
    )


def theirs(pair: ModelPair, ids: torch.Tensor, seed: int) -> GenerationTrace:
    return reference_generate(pair, ids, gamma=2, temperature=1.0, max_new_tokens=LENGTH, seed=seed)


@pytest.mark.slow
def test_texts_follow_the_exact_joint_law(few_words: ModelPair) -> None:
    assert p_value(few_words, ours, 400) > 1e-3


@pytest.mark.slow
def test_the_library_s_assisted_sampling_does_not(few_words: ModelPair) -> None:
    """transformers#47932: argmax drafts, accepted as if they had been drawn from the softmax."""
    assert p_value(few_words, theirs, 200) < 1e-6


@pytest.mark.slow
def test_argmax_drafts_with_a_one_hot_distribution_follow_it_too(
    few_words: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def argmax(self: Sampler, logits: torch.Tensor, text: torch.Tensor) -> object:
        return logits[0].argmax()[None, None], torch.ones(()), None

    monkeypatch.setattr(Sampler, "choose", argmax)
    assert p_value(few_words, ours, 300) > 1e-3


def test_first_drafts_are_the_library_s(pair: ModelPair) -> None:
    """Those of the first round, before which nothing was rejected."""
    prompts = ("Tell me a short story about a heron.", "What is MTP?", "List five fruits.")
    limit = 12
    assert all(
        speculative_generate(pair, p, gamma=8, max_new_tokens=limit).rounds[1].draft_ids
        == reference_generate(pair, p, gamma=8, max_new_tokens=limit).rounds[1].draft_ids
        for p in prompts
    )
