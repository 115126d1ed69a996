"""The library's generate(), traced: the tokens of an untraced call, and nothing left behind."""

import subprocess
import sys
from contextlib import ExitStack
from typing import Any

import pytest
import torch

from gemma_mtp_edu import ModelPair, reference_generate, speculative_generate
from tests.cases import beside, tables

PROMPTS = tables(__file__)["prompts"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_assisted_equals_plain_and_the_untraced_call(pair: ModelPair, prompt: str) -> None:
    plain = reference_generate(pair, prompt, assisted=False, max_new_tokens=48)
    assisted = reference_generate(pair, prompt, gamma=4, max_new_tokens=48)
    ids = pair.encode(prompt)
    untraced = pair.target.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=48, do_sample=False
    )
    assert plain.token_ids == assisted.token_ids == tuple(untraced[0, ids.shape[1] :].tolist())
    assert assisted.target_passes < plain.target_passes == len(plain.token_ids)


def test_our_prefill_skips_what_the_library_s_plain_one_skips(pair: ModelPair) -> None:
    """All of a prompt passes the layers with KV of their own; in 5.22 the others, too."""
    seen: list[int] = []

    def note(module: Any, args: tuple[torch.Tensor, ...]) -> None:
        seen.append(args[0].shape[1])

    with ExitStack() as hooks:
        for layer in pair.target.model.layers:
            hooks.callback(layer.register_forward_pre_hook(note).remove)
        reference_generate(pair, PROMPTS[2], assisted=False, max_new_tokens=1)
        speculative_generate(pair, PROMPTS[2], max_new_tokens=1)
    layers = len(pair.target.model.layers)
    assert len(seen) == 2 * layers
    assert seen[layers:] == seen[:layers]


def test_no_warning_about_old_names_reaches_a_learner() -> None:
    command = [sys.executable, "-W", "error::FutureWarning", "-c", beside(__file__, ".py.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr


def test_the_text_ends_by_itself_or_at_the_limit(pair: ModelPair) -> None:
    ended = reference_generate(pair, "Count from 3 to 12.", max_new_tokens=64)
    assert ended.stop_reason == "eos"
    assert ended.text == "3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
    cut = reference_generate(pair, "Count from 3 to 9.", max_new_tokens=4)
    assert cut.stop_reason == "length"
    assert len(cut.token_ids) == 4
    assert cut.provenance["pair"] == "pocket" and cut.provenance["dtype"] == "float32"
    assert {"device", "threads", "torch", "transformers", "method"} <= set(cut.provenance)


def test_tokens_arrive_as_they_come(pair: ModelPair) -> None:
    chunks: list[tuple[int, ...]] = []
    trace = reference_generate(pair, PROMPTS[0], max_new_tokens=32, on_tokens=chunks.append)
    assert chunks == [r.token_ids for r in trace.rounds]


def test_sampling_repeats_with_its_seed_and_leaves_the_random_state(pair: ModelPair) -> None:
    state = torch.get_rng_state()
    runs = [
        reference_generate(pair, PROMPTS[2], temperature=1.0, seed=seed, max_new_tokens=24)
        for seed in (1, 1, 2)
    ]
    assert runs[0].token_ids == runs[1].token_ids != runs[2].token_ids
    assert torch.equal(torch.get_rng_state(), state)


def test_an_unset_draft_count_falls_back_to_the_registry(pair: ModelPair) -> None:
    config = pair.drafter.generation_config
    before = config.num_assistant_tokens
    config.num_assistant_tokens = None
    try:
        trace = reference_generate(pair, PROMPTS[1], max_new_tokens=16)
        assert max(len(r.draft_ids) for r in trace.rounds) == 4
        assert config.num_assistant_tokens is None
        nameless = ModelPair(pair.target, pair.drafter, pair.processor)
        with pytest.raises(ValueError, match="no num_assistant_tokens"):
            reference_generate(nameless, PROMPTS[1], max_new_tokens=16)
    finally:
        config.num_assistant_tokens = before
