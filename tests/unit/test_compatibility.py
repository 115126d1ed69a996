"""Compatibility: each way in which two models cannot be a pair, from tiny configurations."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import Gemma4AssistantConfig, Gemma4TextConfig

import gemma_mtp_edu
from gemma_mtp_edu.models.compatibility import IncompatiblePairError, check_pair, kv_layers
from tests.cases import cases

TINY = json.loads((Path(gemma_mtp_edu.__file__).parent / "data/tiny.json").read_text("utf-8"))
PATTERN = ["sliding_attention", "full_attention"]


def text_config(**changes: Any) -> Gemma4TextConfig:
    return Gemma4TextConfig(**TINY["target"] | changes)


def drafter_config(**changes: Any) -> Gemma4AssistantConfig:
    return Gemma4AssistantConfig(**TINY["drafter"] | changes)


def test_a_fitting_pair_passes() -> None:
    assert check_pair(text_config(), drafter_config()) is None


@cases
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
