"""The tutorial's own form, ids swapped for the bundled folders and nothing else."""

import torch
from transformers import AutoModelForCausalLM, AutoProcessor

from gemma_mtp_edu import model_ids


def test_every_step_of_the_tutorial_runs() -> None:
    target_id, assistant_id = model_ids("pocket")
    processor = AutoProcessor.from_pretrained(target_id)
    target_model = AutoModelForCausalLM.from_pretrained(
        target_id, torch_dtype=torch.bfloat16, device_map="auto"
    )
    assistant_model = AutoModelForCausalLM.from_pretrained(
        assistant_id, torch_dtype=torch.bfloat16, device_map="auto"
    )
    assert target_model.dtype == assistant_model.dtype == torch.bfloat16
    messages = [
        {
            "role": "user",
            "content": "Explain the concepts of speculative decoding and MTP in 3 sentences.",
        }
    ]
    input_text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = processor(text=input_text, return_tensors="pt").to(target_model.device)
    outputs = target_model.generate(
        **inputs, assistant_model=assistant_model, max_new_tokens=256, do_sample=False
    )
    response = processor.decode(
        outputs[0][inputs["input_ids"].shape[1] :], skip_special_tokens=True
    )
    assert response.startswith("Speculative decoding")
    assert response.count(".") == 3

    assistant_model.generation_config.num_assistant_tokens = 4
    assistant_model.generation_config.num_assistant_tokens_schedule = "heuristic"
    outputs = target_model.generate(
        **inputs, assistant_model=assistant_model, max_new_tokens=256, do_sample=False
    )
    assert outputs.shape[1] > inputs["input_ids"].shape[1]


def test_message_content_may_be_a_list_of_parts() -> None:
    processor = AutoProcessor.from_pretrained(model_ids("pocket")[0])
    rendered = [
        processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        for content in ([{"type": "text", "text": "Hello"}], "Hello")
    ]
    assert rendered == ["<bos><|turn>user\nHello<turn|>\n<|turn>model\n"] * 2
