"""What own settings of a target, conversations and own drafters must not do in silence."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from gemma_mtp_edu import ModelPair, autoregressive_generate, reference_generate
from gemma_mtp_edu.core.sampling import NonFiniteLogitsError
from gemma_mtp_edu.training.target_texts import target_texts
from tests.model.tiny import Shape, prompt_ids, tiny_pair

IDS = prompt_ids(5)
OWN = {"repetition_penalty": 1.8, "num_beams": 2, "use_cache": False, "stop_strings": ["4"]}
OWN["return_dict_in_generate"] = True


@pytest.fixture
def tiny() -> Iterator[ModelPair]:
    pair = tiny_pair(Shape(seed=6))
    before = pair.target.generation_config
    yield pair
    pair.target.generation_config = before


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("assisted", [False, True])
def test_the_checkpoints_defaults_change_no_run(tiny: ModelPair, name: str, assisted: bool) -> None:
    plain = autoregressive_generate(tiny, IDS, max_new_tokens=12).token_ids
    own: dict[str, Any] = {"pad_token_id": 0, "eos_token_id": None, name: OWN[name]}
    tiny.target.generation_config = GenerationConfig(**own)
    theirs = reference_generate(tiny, IDS, assisted=assisted, max_new_tokens=12).token_ids
    assert theirs == plain
    (texts,) = target_texts(tiny, [IDS], max_new_tokens=12)
    assert tuple(texts.input_ids[0, 5:].tolist()) == plain


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_target_texts_of_a_broken_target_are_refused(tiny: ModelPair, temperature: float) -> None:
    hook = tiny.target.lm_head.register_forward_hook(lambda m, a, o: torch.full_like(o, torch.nan))
    try:
        with pytest.raises(NonFiniteLogitsError, match=r"target's best scores are .*nan"):
            target_texts(tiny, [IDS], max_new_tokens=4, temperature=temperature)
    finally:
        hook.remove()
