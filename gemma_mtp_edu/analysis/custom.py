"""Our loop behind transformers' own `generate()`, by its `custom_generate` argument.

    target.generate(**inputs, custom_generate=draft_and_verify, drafter=assistant)

Names are ours where `generate()` drops its own for a custom function: it hands over neither
`assistant_model` nor `streamer`, and refuses `stop_strings` (pass a `StopStringCriteria` among
`stopping_criteria`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.utils import GenerateDecoderOnlyOutput

from gemma_mtp_edu.core.decoding import choose_schedule, pair_drafter, speculate
from gemma_mtp_edu.core.options import Streamer, check_listeners
from gemma_mtp_edu.core.recording import Recorder
from gemma_mtp_edu.core.run import Run
from gemma_mtp_edu.core.sampling import Sampler, seeded_generator
from gemma_mtp_edu.core.schedules import Schedule
from gemma_mtp_edu.core.sharing import running
from gemma_mtp_edu.core.stopping import LONGEST, Text, check_max_new_tokens, ends_of
from gemma_mtp_edu.core.target import Target
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.compatibility import check_models
from gemma_mtp_edu.models.pairs import ModelPair, configured_eos_ids

# What `generate()` prepares for every text. Anything else is content that would be left unread.
_OF_A_TEXT = (
    "attention_mask",
    "cache_position",
    "logits_to_keep",
    "mm_token_type_ids",
    "past_key_values",
    "position_ids",
    "return_dict",
    "token_type_ids",
    "use_cache",
)
_NOT_KEPT = ("output_scores", "output_logits", "output_attentions", "output_hidden_states")


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
        ValueError: The drafter is missing, there is more than one prompt, or padding, or
            something is asked for that this loop cannot do.
        BusyModelError: Another thread is changing one of the models.

    Source:
        transformers 5.22.2, `GenerationMixin.generate(custom_generate=...)`.
    """
    _check(input_ids, drafter, model_kwargs.get("attention_mask"))
    _check_text_only(model_kwargs, generation_config)
    check_listeners(None, token_streamer)
    check_models(model, drafter)
    with running(model, drafter), _modes_kept(model, drafter):
        run = _decoded(
            ModelPair(model, drafter),
            input_ids,
            logits_processor,
            stopping_criteria,
            generation_config,
            schedule,
            gamma,
            seed,
            token_streamer,
            model_kwargs.get("past_key_values"),
        )
    if generation_config.return_dict_in_generate:
        return GenerateDecoderOnlyOutput(sequences=run.text.ids, past_key_values=run.target.cache)
    return run.text.ids


def _decoded(
    pair: ModelPair,
    input_ids: Tensor,
    logits_processor: LogitsProcessorList,
    stopping_criteria: StoppingCriteriaList,
    generation_config: GenerationConfig,
    schedule: Schedule | None,
    gamma: int | None,
    seed: int | None,
    token_streamer: Streamer | None,
    cache: Any,
) -> Run:
    prompt, config = pair.encode(input_ids), generation_config
    ends = ends_of(stopping_criteria, configured_eos_ids(config), config.max_length)
    room = min(ends.max_length, pair.positions or LONGEST) - prompt.shape[1]
    proposer = pair_drafter(pair)
    generator = None
    if generation_config.do_sample:
        start = int(torch.randint(2**62, ())) if seed is None else seed
        generator = seeded_generator(input_ids.device, start)
    run = Run(
        Target(pair.target, hands_over=proposer.hands_over, cache=cache),
        Text(
            prompt,
            check_max_new_tokens(room, prompt.shape[1], pair.positions),
            ends.eos_ids,
            ends.others,
        ),
        Sampler(logits_processor, generator),
        Recorder(input_ids.device),
        streamer=token_streamer,
    )
    speculate(run, proposer, choose_schedule(pair, schedule, gamma))
    return run


@contextmanager
def _modes_kept(*models: Any) -> Iterator[None]:
    """Put what was in training mode back into it: a pair is in evaluation mode."""
    trained = [part for model in models for part in model.modules() if part.training]
    try:
        yield
    finally:
        for part in trained:
            part.training = True


def _check_text_only(model_kwargs: dict[str, Any], config: GenerationConfig) -> None:
    # Where there is no picture, the library hands over an empty `mm_encoder_outputs`.
    unread = [
        name
        for name, value in model_kwargs.items()
        if name not in _OF_A_TEXT and value is not None and not _is_empty(value)
    ]
    if unread:
        raise ValueError(
            tr(
                "got {names} for draft_and_verify, which reads text alone and would leave them "
                "out: pass input_ids and attention_mask only, or use generate() with "
                "assistant_model=...",
                names=", ".join(unread),
            )
        )
    if model_kwargs.get("use_cache") is False:
        raise ValueError(
            tr(
                "got use_cache=False, need True: draft_and_verify cuts rejected drafts out of a "
                "cache; leave use_cache out, and True in the target's generation_config"
            )
        )
    if missing := [name for name in _NOT_KEPT if getattr(config, name, None)]:
        raise ValueError(
            tr(
                "got {names}=True, but draft_and_verify keeps none of them: leave them out, or "
                "look at the trace of speculative_generate",
                names=", ".join(missing),
            )
        )


def _is_empty(value: Any) -> bool:
    return isinstance(value, dict) and not value


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
