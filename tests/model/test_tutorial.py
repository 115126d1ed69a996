"""The tutorial's own form, ids swapped for the bundled folders and nothing else."""

from typing import Any

import torch
from transformers import AutoProcessor

from gemma_mtp_edu import model_ids
from tests.cases import beside


def test_every_step_of_the_tutorial_runs() -> None:
    target_id, drafter_id = model_ids("pocket")
    names: dict[str, Any] = {"TARGET_MODEL_ID": target_id, "ASSISTANT_MODEL_ID": drafter_id}
    exec(beside(__file__, ".py.txt"), names)
    assert names["target_model"].dtype == names["assistant_model"].dtype == torch.bfloat16
    assert names["response"].startswith("Speculative decoding")
    assert names["response"].count(".") == 3
    assert names["outputs"].shape[1] > names["inputs"]["input_ids"].shape[1]


def test_message_content_may_be_a_list_of_parts() -> None:
    processor = AutoProcessor.from_pretrained(model_ids("pocket")[0])
    rendered = [
        processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        for content in ([{"type": "text", "text": "Hello"}], "Hello")
    ]
    assert rendered == ["<bos><|turn>user\nHello<turn|>\n<|turn>model\n"] * 2
