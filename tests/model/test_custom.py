"""The tutorial's own call with one argument changed."""

from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoProcessor

from gemma_mtp_edu import ModelPair, model_ids
from gemma_mtp_edu.core.schedules import Heuristic
from tests.model.tiny import Shape, generated, prompt_ids, tiny_pair

MESSAGES = [{"role": "user", "content": "Write a JSON record for a person named Ida who is 44."}]


@pytest.fixture(scope="module")
def tutorial() -> tuple[Any, ModelPair, Any]:
    target_id, drafter_id = model_ids()
    processor = AutoProcessor.from_pretrained(target_id)
    target = AutoModelForCausalLM.from_pretrained(target_id, dtype="auto", device_map="auto")
    assistant = AutoModelForCausalLM.from_pretrained(drafter_id, dtype="auto", device_map="auto")
    text = processor.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    return processor, ModelPair(target, assistant), processor(text=text, return_tensors="pt")


@pytest.mark.parametrize("more", [{}, {"gamma": 7}, {"schedule": Heuristic(2)}])
def test_one_argument_changes(tutorial: tuple[Any, ModelPair, Any], more: dict[str, Any]) -> None:
    _, pair, inputs = tutorial
    theirs = pair.target.generate(**inputs, assistant_model=pair.drafter, max_new_tokens=64)
    assert torch.equal(generated(pair, **inputs, max_new_tokens=64, **more).sequences, theirs)


def test_sampling_follows_the_global_seed_like_generate(
    tutorial: tuple[Any, ModelPair, Any],
) -> None:
    _, pair, inputs = tutorial
    drawn = {"do_sample": True, "temperature": 2.0, "top_k": 0, "max_new_tokens": 24}
    texts = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        texts.append(generated(pair, **inputs, **drawn).sequences.tolist())
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"input_ids": prompt_ids(3).repeat(2, 1)}, "got 2 sequences"),
        ({"gamma": 0}, "gamma 0"),
        ({"gamma": 2, "schedule": Heuristic(2)}, "got schedule and gamma"),
    ],
)
def test_what_it_cannot_do_is_said(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generated(tiny_pair(), **{"input_ids": prompt_ids(3), "max_new_tokens": 4, **more})


def test_training_mode_is_put_back() -> None:
    pair = tiny_pair(Shape(seed=41))
    try:
        pair.target.train()
        pair.target.model.norm.eval()
        generated(pair, prompt_ids(5), max_new_tokens=3)
        assert pair.target.training
        assert not pair.target.model.norm.training
    finally:
        pair.target.eval()
