"""Our loop behind transformers' own `generate()`, by its `custom_generate` argument.

    target.generate(**inputs, custom_generate=draft_and_verify, drafter=assistant)

Names are ours where `generate()` drops its own for a custom function: it hands over neither
`assistant_model` nor `streamer`, and refuses `stop_strings` (pass a `StopStringCriteria` among
`stopping_criteria`).
"""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.utils import GenerateDecoderOnlyOutput

from gemma_mtp_edu.decoding import choose_schedule, pair_drafter, speculate
from gemma_mtp_edu.language import tr
from gemma_mtp_edu.options import Streamer, check_listeners
from gemma_mtp_edu.pairs import ModelPair, configured_eos_ids
from gemma_mtp_edu.recording import Recorder
from gemma_mtp_edu.run import Run
from gemma_mtp_edu.sampling import Sampler, seeded_generator
from gemma_mtp_edu.schedules import Schedule
from gemma_mtp_edu.sharing import running
from gemma_mtp_edu.stopping import LONGEST, Text, check_max_new_tokens, without_known
from gemma_mtp_edu.target import Target


def draft_and_verify(
    model: Any,
    input_ids: Int[Tensor, "1 seq"],
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    drafter: Any = None,
    schedule: Schedule | None = None,
    gamma: int | None = None,
    seed: int | None = None,
    token_streamer: Streamer | None = None,
    **model_kwargs: Any,
) -> Int[Tensor, "1 seq"] | GenerateDecoderOnlyOutput:
    """Decode as `speculative_generate` does; called by `generate()`, not by you.

    Args:
        model: The target.
        input_ids: The prompt.
        logits_processor: What `generate()` made of temperature, top-k and the like.
        stopping_criteria: What `generate()` made of lengths and end tokens, and what you added.
        generation_config: Of this call.
        drafter: The drafter model; required.
        schedule: How many tokens to draft; by default what the drafter's configuration says.
        gamma: The same number of drafts in every round; instead of a schedule.
        seed: Seed of the sampling; by default drawn from torch's global generator.
        token_streamer: A streamer of transformers.
        **model_kwargs: What else `generate()` prepared: its cache is used; a mask must be without
            padding. (`generate()` hands these over twice if they are named.)

    Returns:
        Prompt and text, as `generate()` returns them.

    Raises:
        ValueError: The drafter is missing, there is more than one prompt, or padding.

    Source:
        transformers 5.22.2, `GenerationMixin.generate(custom_generate=...)`.
    """
    _check(input_ids, drafter, model_kwargs.get("attention_mask"))
    check_listeners(None, token_streamer)
    pair = ModelPair(model, drafter)
    prompt = pair.encode(input_ids)
    room = min(generation_config.max_length, pair.positions or LONGEST) - prompt.shape[1]
    proposer = pair_drafter(pair)
    generator = None
    if generation_config.do_sample:
        start = int(torch.randint(2**62, ())) if seed is None else seed
        generator = seeded_generator(input_ids.device, start)
    run = Run(
        Target(model, hands_over=proposer.hands_over, cache=model_kwargs.get("past_key_values")),
        Text(
            prompt,
            check_max_new_tokens(room, prompt.shape[1], pair.positions),
            configured_eos_ids(generation_config),
            without_known(stopping_criteria),
        ),
        Sampler(logits_processor, generator),
        Recorder(input_ids.device),
        streamer=token_streamer,
    )
    with running(model, drafter):
        speculate(run, proposer, choose_schedule(pair, schedule, gamma))
    if generation_config.return_dict_in_generate:
        return GenerateDecoderOnlyOutput(sequences=run.text.ids, past_key_values=run.target.cache)
    return run.text.ids


def _check(input_ids: Tensor, drafter: Any, attention_mask: Tensor | None) -> None:
    if drafter is None:
        raise ValueError(
            tr(
                "draft_and_verify needs drafter=...: pass what you passed as "
                "assistant_model, under this name, because generate() keeps assistant_model "
                "from custom functions"
            )
        )
    if input_ids.shape[0] != 1:
        raise ValueError(
            tr(
                "got {count} sequences, need 1: assisted decoding takes one prompt at a "
                "time; call generate() once for each, with num_return_sequences=1",
                count=input_ids.shape[0],
            )
        )
    if attention_mask is not None and not bool(attention_mask.all()):
        raise ValueError(
            tr("got an attention mask with padding, need none: one prompt has no padding")
        )
