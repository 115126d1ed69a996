"""The bundled target: its configuration, its start values, and growing it from 10 to 30 layers.

Depth, not width, makes a target expensive at this size, and depth is what slows training. So a
model of ten layers is trained first, then each half of it is repeated three times and trained on.
"""

import torch
from transformers import Gemma4ForCausalLM, Gemma4TextConfig, GenerationConfig

from gemma_mtp_edu.training.new_drafter import set_start_values

BLOCK = ["sliding_attention"] * 4 + ["full_attention"]  # E2B's pattern
SHALLOW_BLOCKS = 2
DEEP_BLOCKS = 6
SLIDING_WINDOW = 64


def target_config(n_blocks: int, vocab_size: int) -> Gemma4TextConfig:
    """Return a Gemma 4 text configuration with E2B's features; the upper half shares KV."""
    layer_types = BLOCK * n_blocks
    return Gemma4TextConfig(
        vocab_size=vocab_size,
        vocab_size_per_layer_input=vocab_size,
        hidden_size=128,
        intermediate_size=160,
        use_double_wide_mlp=True,
        num_hidden_layers=len(layer_types),
        num_kv_shared_layers=len(layer_types) // 2,
        layer_types=layer_types,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=32,
        global_head_dim=64,
        hidden_size_per_layer_input=8,
        sliding_window=SLIDING_WINDOW,
        final_logit_softcapping=30.0,
        max_position_embeddings=4096,
        pad_token_id=0,
        eos_token_id=[1, 5],
        bos_token_id=2,
        dtype="float32",
    )


def new_target(vocab_size: int, seed: int) -> Gemma4ForCausalLM:
    """Return the shallow target with fresh weights."""
    torch.manual_seed(seed)
    model = Gemma4ForCausalLM(target_config(SHALLOW_BLOCKS, vocab_size))
    set_start_values(model, post_norm=0.3)
    return model


@torch.no_grad()
def grow(shallow: Gemma4ForCausalLM, gain: float = 0.1) -> Gemma4ForCausalLM:
    """Return the deep target: lower and upper half each repeated three times.

    The last copy of the lower half keeps its strength, since it makes the shared KV, and so does
    the first of the upper half; the other copies start with their contribution scaled by `gain`, so
    the grown model begins close to the function of the shallow one.
    """
    config = target_config(DEEP_BLOCKS, shallow.config.vocab_size)
    deep = Gemma4ForCausalLM(config)
    size, copies = len(BLOCK), DEEP_BLOCKS // SHALLOW_BLOCKS
    full_strength = {copies - 1, copies}
    source_of = [
        (block // copies) * size + layer for block in range(DEEP_BLOCKS) for layer in range(size)
    ]
    for index, source in enumerate(source_of):
        layer = deep.model.layers[index]
        layer.load_state_dict(shallow.model.layers[source].state_dict())
        if index // size not in full_strength:
            for norm in (
                layer.post_attention_layernorm,
                layer.post_feedforward_layernorm,
                layer.post_per_layer_input_norm,
            ):
                norm.weight.mul_(gain)
    _grow_per_layer_inputs(shallow, deep, source_of)
    deep.model.embed_tokens.load_state_dict(shallow.model.embed_tokens.state_dict())
    deep.model.norm.load_state_dict(shallow.model.norm.state_dict())
    deep.tie_weights()
    return deep


def _grow_per_layer_inputs(
    shallow: Gemma4ForCausalLM, deep: Gemma4ForCausalLM, source_of: list[int]
) -> None:
    """Copy the columns that the packed per-layer embedding tables hold for each layer."""
    width = shallow.config.hidden_size_per_layer_input
    columns = torch.cat([torch.arange(width) + source * width for source in source_of])
    old, new = shallow.model, deep.model
    new.embed_tokens_per_layer.weight.copy_(old.embed_tokens_per_layer.weight[:, columns])
    new.per_layer_model_projection.weight.copy_(old.per_layer_model_projection.weight[columns])
    new.per_layer_projection_norm.load_state_dict(old.per_layer_projection_norm.state_dict())


def set_generation_config(model: Gemma4ForCausalLM) -> None:
    """Give the target the generation defaults that it ships with: greedy, ends at the turn mark."""
    model.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=[1, 5], pad_token_id=0, bos_token_id=2
    )
