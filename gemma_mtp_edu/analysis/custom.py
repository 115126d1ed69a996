"""Our loop behind transformers' own `generate()`, by its `custom_generate` argument.

    target.generate(**inputs, custom_generate=draft_and_verify, drafter=assistant)

Names are ours where `generate()` drops its own for a custom function: it passes on neither
`assistant_model` nor `streamer`, and raises for `stop_strings` (pass a `StopStringCriteria` among
`stopping_criteria`).
"""

import sys
from typing import Any

import torch
from jaxtyping import Int  # an edge: arguments are checked here
from torch import Tensor
from transformers import (
    DynamicCache,
    EosTokenCriteria,
    GenerationConfig,
    LogitsProcessorList,
    MaxLengthCriteria,
    StoppingCriteriaList,
)
from transformers.generation.utils import GenerateDecoderOnlyOutput

from gemma_mtp_edu.core.decoding import Run, choose_schedule, speculate
from gemma_mtp_edu.core.sampling import Sampler, Settings
from gemma_mtp_edu.core.schedules import Schedule
from gemma_mtp_edu.core.target import CACHE
from gemma_mtp_edu.models.pairs import ModelPair, configured_eos_ids

# What `generate()` prepares for every text. Anything else is content that would be left unread.
_OF_A_TEXT = {
    CACHE, "attention_mask", "cache_position", "logits_to_keep", "mm_token_type_ids",
    "position_ids", "return_dict", "token_type_ids", "use_cache",
}  # fmt: skip
_ENDS = (EosTokenCriteria, MaxLengthCriteria)
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
    token_streamer: Any = None,
    **model_kwargs: Any,
) -> Int[Tensor, "1 seq"] | GenerateDecoderOnlyOutput:
    """Decode as `speculative_generate` does; called by `generate()`, not by you.

    Of the arguments the call gives `drafter`, the model, and may give `schedule`, or `gamma` for a
    constant one (by default what the drafter's configuration says), `seed` (by default drawn from
    torch's global generator) and `token_streamer`, a streamer of transformers. The others are what
    `generate()` prepares: its cache is used; a mask must be without padding. It passes these twice
    if they are named. Returned are prompt and text, as by `generate()`.

    Source: transformers 5.22.2, `GenerationMixin.generate(custom_generate=...)`.
    """
    _check(input_ids, drafter, generation_config, model_kwargs)
    cache = model_kwargs.get(CACHE)
    trained = [m for part in (model, drafter) for m in part.modules() if m.training]
    try:
        pair = ModelPair(model, drafter)  # in evaluation mode
        prompt, proposer = pair.encode(input_ids), pair.new_drafter()
        if cache is not None:
            _leave_one_unread(cache, prompt.shape[1])
        eos, longest = _ends(stopping_criteria, generation_config)
        room = min(longest, pair.positions or sys.maxsize) - prompt.shape[1]
        settings = Settings(max_new_tokens=room, streamer=token_streamer)
        run = Run(pair, prompt, settings, shares_state=proposer.needs_state, cache=cache)
        run.eos_ids, generator = eos, None
        run.criteria = StoppingCriteriaList(c for c in stopping_criteria if type(c) not in _ENDS)
        if generation_config.do_sample:
            start = int(torch.randint(2**62, ())) if seed is None else seed
            generator = torch.Generator(prompt.device).manual_seed(start)
        run.sampler = Sampler(logits_processor, generator)
        speculate(run, proposer, choose_schedule(pair, schedule, gamma))
    finally:
        for part in trained:
            part.training = True
    if generation_config.return_dict_in_generate:
        return GenerateDecoderOnlyOutput(sequences=run.ids, **{CACHE: run.target.cache})
    return run.ids


def _ends(criteria: StoppingCriteriaList, config: GenerationConfig) -> tuple[set[int], int]:
    """Return the end tokens and the length: the library's own, or a caller's in their stead."""
    eos = [c.eos_token_id.reshape(-1).tolist() for c in criteria if type(c) is EosTokenCriteria]
    lengths = [c.max_length for c in criteria if type(c) is MaxLengthCriteria]
    ends = set().union(*eos) if eos else configured_eos_ids(config)
    return ends, min(lengths, default=config.max_length)


def _leave_one_unread(cache: Any, prompt_length: int) -> None:
    """Cut a caller's cache of the whole prompt back by one token, which gives the first logits."""
    if not isinstance(cache, DynamicCache):
        raise ValueError(f"got a {type(cache).__name__}, need a DynamicCache: it can be cut back")
    surplus = cache.get_seq_length() - (prompt_length - 1)
    sliding = (c for c in cache.layers if getattr(c, "is_sliding", False))  # not a `DummyLayer`
    full = [c for c in sliding if c.get_seq_length() >= c.sliding_window]
    # A longer cache is one of another text. And past its window a sliding layer has forgotten what
    # it would need again.
    if surplus > 1 or (surplus == 1 and full):
        both = f"got a cache of {cache.get_seq_length()} tokens for a prompt of {prompt_length}"
        raise ValueError(f"{both}: pass the whole conversation, its new turn too, or no cache")
    if surplus == 1:
        cache.crop(-1)


def _check(ids: Tensor, drafter: Any, config: GenerationConfig, given: dict[str, Any]) -> None:
    if drafter is None:
        raise ValueError("draft_and_verify needs drafter=...: what you passed as assistant_model")
    if ids.shape[0] != 1:
        raise ValueError(f"got {ids.shape[0]} sequences, need 1: call generate() once for each")
    mask = given.get("attention_mask")
    if mask is not None and not bool(mask.all()):
        raise ValueError("got an attention mask with padding, need none: one prompt has no padding")
    if given.get("use_cache") is False:
        raise ValueError("got use_cache=False, need True: rejected drafts are cut out of a cache")
    # Where there is no picture, the library passes an empty `mm_encoder_outputs`.
    there = {k for k, v in given.items() if v is not None and not (type(v) is dict and not v)}
    if unread := there - _OF_A_TEXT:
        raise ValueError(f"got {', '.join(sorted(unread))}: draft_and_verify reads text alone")
    if missing := [name for name in _NOT_KEPT if getattr(config, name, None)]:
        raise ValueError(f"got {', '.join(missing)}=True, but draft_and_verify keeps none of them")
