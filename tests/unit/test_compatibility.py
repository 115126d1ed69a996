"""Compatibility: each way in which two models cannot be a pair, from tiny configurations."""

from typing import Any

import pytest
from transformers import Gemma4AssistantConfig, Gemma4TextConfig

from gemma_mtp_edu.models.compatibility import IncompatiblePairError, check_pair, kv_layers

PATTERN = ["sliding_attention", "full_attention"]


def text_config(**changes: Any) -> Gemma4TextConfig:
    values: dict[str, Any] = {
        "vocab_size": 64, "vocab_size_per_layer_input": 64, "hidden_size": 16,
        "intermediate_size": 16, "num_hidden_layers": 4, "layer_types": PATTERN * 2,
        "num_kv_shared_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
        "head_dim": 8, "global_head_dim": 16, "hidden_size_per_layer_input": 4,
        "sliding_window": 8, "pad_token_id": 0,
    }  # fmt: skip
    return Gemma4TextConfig(**values | changes)


def drafter_config(text: dict[str, Any] | None = None, **changes: Any) -> Gemma4AssistantConfig:
    layers = text_config(
        **{
            "vocab_size_per_layer_input": 0, "hidden_size_per_layer_input": 0,
            "num_hidden_layers": 2, "layer_types": PATTERN, "num_kv_shared_layers": 2,
        } | (text or {})
    )  # fmt: skip
    values: dict[str, Any] = {
        "backbone_hidden_size": 16, "use_ordered_embeddings": True, "num_centroids": 8,
        "centroid_intermediate_top_k": 2,
    }  # fmt: skip
    return Gemma4AssistantConfig(text_config=layers, **values | changes)


def test_a_fitting_pair_passes() -> None:
    assert check_pair(text_config(), drafter_config()) is None


@pytest.mark.parametrize(
    ("target", "drafter", "message"),
    [
        ({"vocab_size": 32}, {}, "drafter vocabulary 64 != target vocabulary 32"),
        ({"hidden_size": 32}, {}, "backbone_hidden_size 16 != target hidden_size 32"),
        ({"head_dim": 16}, {}, "sliding_attention head_dim 8 != target .* head_dim 16"),
        ({"global_head_dim": 8}, {}, "drafter full_attention head_dim 16 != target"),
        ({"num_key_value_heads": 2}, {}, "num_key_value_heads 1 != target .*heads 2"),
        ({}, {"num_centroids": 7}, "num_centroids that divides the vocabulary"),
        ({}, {"num_centroids": 0}, "num_centroids 0"),
        ({}, {"centroid_intermediate_top_k": 0}, "centroid_intermediate_top_k 0"),
        ({}, {"centroid_intermediate_top_k": 9}, "and 1 to all of them"),
        ({"layer_types": ["full_attention"] * 4}, {}, "no sliding_attention layer"),
    ],
)
def test_each_misfit_is_named(target: dict, drafter: dict, message: str) -> None:
    with pytest.raises(IncompatiblePairError, match=message):
        check_pair(text_config(**target), drafter_config(**drafter))


def test_swapped_models_are_named() -> None:
    with pytest.raises(IncompatiblePairError, match="the target is a gemma4_assistant"):
        check_pair(drafter_config(), text_config())


def test_an_ordinary_small_model_needs_only_the_vocabulary() -> None:
    assert check_pair(text_config(), text_config(hidden_size=8)) is None
    with pytest.raises(IncompatiblePairError, match="vocabulary"):
        check_pair(text_config(), text_config(vocab_size=32))


def test_the_last_layers_with_own_kv_hand_it_over() -> None:
    assert kv_layers(text_config()) == {"sliding_attention": 0, "full_attention": 1}
    deep = text_config(num_hidden_layers=8, layer_types=PATTERN * 4, num_kv_shared_layers=3)
    assert kv_layers(deep) == {"sliding_attention": 4, "full_attention": 3}
