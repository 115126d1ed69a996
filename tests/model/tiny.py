"""Random tiny Gemma 4 models, for tests that need many shapes.

Embeddings are not tied: a tied random model repeats one token for ever, and proves little.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import transformers as hf
from transformers import (
    Gemma4AssistantConfig,
    Gemma4AssistantForCausalLM,
    Gemma4Config,
    Gemma4ForCausalLM,
    Gemma4ForConditionalGeneration,
    Gemma4TextConfig,
    GenerationConfig,
)

from gemma_mtp_edu import GenerationTrace, ModelPair
from gemma_mtp_edu.analysis.custom import draft_and_verify
from gemma_mtp_edu.core.drafters import Draft, fixed_draft
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.schedules import Schedule

WINDOW = 8


@dataclass(frozen=True, slots=True)
class Shape:
    """What varies between the pairs."""

    vocab: int = 64
    shared_layers: int = 2
    centroids: int = 8  # 0: a dense head
    experts: bool = False
    softcap: float | None = None
    per_layer_inputs: int = 4  # without, transformers 5.24.0 fails in its own plain generate()
    seed: int = 0


@cache
def tiny_pair(shape: Shape = Shape(), dtype: torch.dtype = torch.float32) -> ModelPair:
    """Return a pair with random weights, the same for the same shape."""
    torch.manual_seed(shape.seed)
    target = Gemma4ForCausalLM(target_config(shape)).to(dtype)
    with torch.no_grad():
        # Wide logits, so that the text varies and no two tokens are nearly equal.
        target.lm_head.weight.normal_(0, 0.5)
    drafter = Gemma4AssistantForCausalLM(drafter_config(shape)).to(dtype)
    if drafter.masked_embedding is not None:
        drafter.masked_embedding.token_ordering.copy_(torch.randperm(shape.vocab))
    target.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=None)
    drafter.generation_config = GenerationConfig(
        num_assistant_tokens=4, num_assistant_tokens_schedule="constant", is_assistant=True
    )
    return ModelPair(target, drafter, name="tiny")


def _layers(shape: Shape, **more: Any) -> Gemma4TextConfig:
    sizes = {
        "vocab_size": shape.vocab, "vocab_size_per_layer_input": shape.vocab, "hidden_size": 32,
        "intermediate_size": 48, "num_attention_heads": 2, "num_key_value_heads": 1,
        "head_dim": 16, "global_head_dim": 16, "sliding_window": WINDOW, "pad_token_id": 0,
        "bos_token_id": 2, "eos_token_id": 1, "max_position_embeddings": 256,
    }  # fmt: skip
    return Gemma4TextConfig(**{**sizes, "tie_word_embeddings": False, **more})


def target_config(shape: Shape) -> Gemma4TextConfig:
    kinds = ["sliding_attention", "full_attention"]
    experts = {"num_experts": 4, "top_k_experts": 2, "moe_intermediate_size": 16}
    return _layers(
        shape, num_hidden_layers=4, layer_types=kinds * 2, num_kv_shared_layers=shape.shared_layers,
        hidden_size_per_layer_input=shape.per_layer_inputs, final_logit_softcapping=shape.softcap,
        enable_moe_block=shape.experts, **experts,
    )  # fmt: skip


def drafter_config(shape: Shape) -> Gemma4AssistantConfig:
    layers = _layers(
        shape,
        num_hidden_layers=2,
        num_kv_shared_layers=2,
        layer_types=["sliding_attention", "full_attention"],
        hidden_size_per_layer_input=0,
        vocab_size_per_layer_input=0,
    )
    return Gemma4AssistantConfig(
        text_config=layers,
        backbone_hidden_size=layers.hidden_size,
        use_ordered_embeddings=shape.centroids > 0,
        num_centroids=shape.centroids or 1,
        centroid_intermediate_top_k=max(1, shape.centroids // 2),
    )


def prompt_ids(length: int, vocab: int = 64, seed: int = 0) -> torch.Tensor:
    """Return a random prompt `[1, length]`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, vocab, (1, length), generator=generator)


def generated(pair: ModelPair, input_ids: torch.Tensor, **arguments: Any) -> Any:
    """Return what the library's `generate()` gives with our loop in it, greedily by default."""
    usual = {"attention_mask": torch.ones_like(input_ids), "drafter": pair.drafter}
    usual |= {"max_new_tokens": 24, "do_sample": False, "return_dict_in_generate": True}
    arguments = usual | arguments
    return pair.target.generate(input_ids, custom_generate=draft_and_verify, **arguments)


class KnowingDrafter:
    """Drafts the known continuation, wrong with a given probability; so all outcomes occur."""

    needs_state = False

    def __init__(self, prompt_length: int, text: tuple[int, ...], right: float, vocab: int) -> None:
        self.prompt_length, self.text, self.right, self.vocab = prompt_length, text, right, vocab
        self.generator = torch.Generator().manual_seed(7)

    def draft(
        self, ids: Any, state: Any, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        position = ids.shape[1] - self.prompt_length
        known = list(self.text[position : position + gamma])
        for index, token in enumerate(known):
            if torch.rand((), generator=self.generator) > self.right:
                known[index] = (token + 1) % self.vocab
        return fixed_draft(known, ids.device)


def wrapped(config: Gemma4TextConfig) -> Gemma4Config:
    whole = Gemma4Config(text_config=config, vision_config=None, audio_config=None)
    whole.tie_word_embeddings = False
    return whole


def dense(target: Gemma4TextConfig, drafter: Gemma4AssistantConfig) -> tuple[Any, Any]:
    """Return a pair of the classes that the 12B checkpoints load as, which have no experts."""
    text, own = {"model_type": "gemma4_unified_text"}, {"model_type": "gemma4_unified_assistant"}
    texts = [config.to_dict() | text for config in (target, drafter.text_config)]
    whole = hf.Gemma4UnifiedConfig(text_config=texts[0], vision_config=None, audio_config=None)
    whole.tie_word_embeddings = False
    given = drafter.to_dict() | own | {"text_config": texts[1]}
    small = hf.Gemma4UnifiedAssistantForCausalLM(hf.Gemma4UnifiedAssistantConfig.from_dict(given))
    return hf.Gemma4UnifiedForConditionalGeneration(whole), small


def wrapped_pair(shape: Shape = Shape()) -> ModelPair:
    """Return a pair whose target is of the class that the real checkpoints load as."""
    inner = tiny_pair(shape)
    target = Gemma4ForConditionalGeneration(wrapped(deepcopy(inner.target.config)))
    target.model.language_model.load_state_dict(inner.target.model.state_dict())
    target.lm_head.load_state_dict(inner.target.lm_head.state_dict())
    target.generation_config = inner.target.generation_config
    return ModelPair(target, inner.drafter, name="wrapped")


def check_rounds(trace: GenerationTrace) -> None:
    """Hold a trace to its text: nothing is missing, and nothing kept reaches past the end."""
    length, written = len(trace.prompt_ids), list[int]()
    for index, record in enumerate(trace.rounds):
        assert record.prefix_length == length + len(written)
        assert 0 <= record.n_accepted <= len(record.draft_ids)
        assert 1 <= len(record.token_ids) <= len(record.draft_ids) + 1
        assert len(record.draft_probs) in (0, len(record.draft_ids))
        assert len(record.overlaps) == len(record.uniforms) <= len(record.token_ids)
        assert (record.next_kind == "none") == (record.next_id is None)
        assert record.next_id is not None or index == len(trace.rounds) - 1
        written += record.token_ids
    assert tuple(written) == trace.token_ids
    assert GenerationTrace.from_json(trace.to_json()) == trace
