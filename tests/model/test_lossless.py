"""Whole texts follow the target's joint law when sampling; the library's assisted texts do not.

And a loop with one thing broken is caught.
"""

from collections import Counter
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats

from gemma_mtp_edu import ModelPair, reference_generate
from gemma_mtp_edu.core import decoding as run_module
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.target import CachedModel
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.core.verification import Verification
from tests.model.test_decoding import Spy
from tests.model.tiny import WINDOW, KnowingDrafter, Shape, prompt_ids, tiny_pair

LENGTH = 3
Generate = Callable[..., GenerationTrace]


@pytest.fixture(scope="module")
def few_words() -> ModelPair:
    """A pair with four tokens, so that all texts of three can be listed."""
    pair = tiny_pair(Shape(vocab=4, centroids=2, shared_layers=0, seed=1))
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


# One thing broken at a time; each must change the text or be seen by the target's own check.


def accepts_one_too_many(patch: pytest.MonkeyPatch) -> None:
    def rule(target_ids: torch.Tensor, draft_ids: torch.Tensor) -> Verification:
        right = real(target_ids, draft_ids)
        return Verification(min(right.n_accepted + 1, len(draft_ids)), right.next_id)

    real = run_module.verify_greedy
    patch.setattr(run_module, "verify_greedy", rule)


def corrects_with_the_wrong_row(patch: pytest.MonkeyPatch) -> None:
    def rule(target_ids: torch.Tensor, draft_ids: torch.Tensor) -> Verification:
        right = real(target_ids, draft_ids)
        return Verification(right.n_accepted, int(target_ids[-1]))

    real = run_module.verify_greedy
    patch.setattr(run_module, "verify_greedy", rule)


def never_crops(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CachedModel, "crop", lambda self, n_rejected: self.cache.crop(0))


def crops_one_too_many(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CachedModel, "crop", lambda self, n_rejected: self.cache.crop(-n_rejected - 1))


def verifies_at_the_wrong_positions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CachedModel, "length", property(lambda self: self.cache.get_seq_length() + 1))


def forgets_the_newest_token(patch: pytest.MonkeyPatch) -> None:
    def verify(self: CachedModel, ids: torch.Tensor) -> object:
        return real(self, torch.cat([ids[:, 1:2], ids[:, 1:]], dim=1) if ids.shape[1] > 1 else ids)

    real = CachedModel.verify
    patch.setattr(CachedModel, "verify", verify)


BROKEN = (
    accepts_one_too_many,
    corrects_with_the_wrong_row,
    never_crops,
    crops_one_too_many,
    verifies_at_the_wrong_positions,
    forgets_the_newest_token,
)


def same_text(pair: ModelPair, wanted: dict[int, tuple[int, ...]]) -> bool:
    """Return whether speculative runs give the plain texts, for prompts around the window."""
    return all(
        speculative_generate(
            pair,
            prompt_ids(length),
            drafter=KnowingDrafter(length, text, 0.7, 64),
            gamma=4,
            max_new_tokens=30,
        ).token_ids
        == text
        for length, text in wanted.items()
    )


@pytest.fixture(scope="module")
def plain_texts() -> dict[int, tuple[int, ...]]:
    return {
        length: autoregressive_generate(
            tiny_pair(), prompt_ids(length), max_new_tokens=30
        ).token_ids
        for length in (3, WINDOW + 1, 3 * WINDOW)
    }


def test_the_whole_loop_passes(plain_texts: dict[int, tuple[int, ...]]) -> None:
    assert same_text(tiny_pair(), plain_texts)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda f: f.__name__)
def test_broken_loops_are_caught(
    broken: Callable[[pytest.MonkeyPatch], None],
    plain_texts: dict[int, tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch)
    try:
        caught = not same_text(tiny_pair(), plain_texts)
    except (RuntimeError, ValueError, IndexError):
        caught = True
    assert caught


def state_of_the_wrong_row(patch: pytest.MonkeyPatch) -> None:
    def state_after(self: CachedModel, output: object, n_accepted: int, n_rejected: int) -> object:
        return real(self, output, max(0, n_accepted - 1), n_rejected)

    real = CachedModel.state_after
    patch.setattr(CachedModel, "state_after", state_after)


def state_with_rejected_tokens(patch: pytest.MonkeyPatch) -> None:
    def state_after(self: CachedModel, output: object, n_accepted: int, n_rejected: int) -> object:
        return real(self, output, n_accepted, max(0, n_rejected - 1))

    real = CachedModel.state_after
    patch.setattr(CachedModel, "state_after", state_after)


def moving_position(patch: pytest.MonkeyPatch) -> None:
    def step(self: MTPDrafter, newest, hidden, position, states):  # type: ignore[no-untyped-def]
        self.moved = getattr(self, "moved", 0) + 1  # type: ignore[attr-defined]
        return real(self, newest, hidden, position + 9 * self.moved, states)  # type: ignore[attr-defined]

    real = MTPDrafter.step
    patch.setattr(MTPDrafter, "step", step)


def clean_states(length: int = 3 * WINDOW) -> None:
    """Run with a drafter that compares what it gets with a clean pass."""
    pair = tiny_pair(dtype=torch.float64)
    ids = prompt_ids(length)
    text = autoregressive_generate(pair, ids, max_new_tokens=30).token_ids
    spy = Spy(pair, KnowingDrafter(length, text, 0.7, 64))
    speculative_generate(pair, ids, drafter=spy, gamma=5, max_new_tokens=30)


@pytest.mark.parametrize("broken", [state_of_the_wrong_row, state_with_rejected_tokens])
def test_wrong_states_are_caught(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text cannot show them: only what the drafter is given can."""
    clean_states()
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        clean_states()


def first_drafts_are_the_library_s(pair: ModelPair) -> bool:
    """Compare the drafts of the first round, before which nothing was rejected."""
    prompts = ("Tell me a short story about a heron.", "What is MTP?", "List five fruits.")
    limit = 12
    return all(
        speculative_generate(pair, p, gamma=8, max_new_tokens=limit).rounds[1].draft_ids
        == reference_generate(pair, p, gamma=8, max_new_tokens=limit).rounds[1].draft_ids
        for p in prompts
    )


def test_a_moving_position_is_caught(pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_drafts_are_the_library_s(pair)
    moving_position(monkeypatch)
    assert not first_drafts_are_the_library_s(pair)
