"""Our loop behind transformers' own `generate()`, by its `custom_generate` argument.

    target.generate(**inputs, custom_generate=draft_and_verify, drafter=assistant)

What is honoured stands in two lists. Whatever else is given is refused by name before the first
token: a setting of another release, too. For `stop_strings`, at which `generate()` itself raises
without looking at `tokenizer`, pass a `StopStringCriteria` among `stopping_criteria`.
"""

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from jaxtyping import Int  # an edge: arguments are checked here
from torch import Tensor
from transformers.generation.utils import GenerateDecoderOnlyOutput

from gemma_mtp_edu.core.decoding import Run, choose_schedule, speculate
from gemma_mtp_edu.core.sampling import Sampler, Settings
from gemma_mtp_edu.core.schedules import Schedule
from gemma_mtp_edu.core.target import CACHE
from gemma_mtp_edu.models.pairs import ModelPair, configured_eos_ids

# "settings": fields of GenerationConfig of which `generate()` makes a processor, a criterion or a
# cache, or that the loop reads, or that mean something to beams and encoders only. "arguments": of
# `generate()`, and of the model, whose values are read below.
_HONOURED = json.loads((Path(__file__).parents[1] / "data/honoured.json").read_text("utf-8"))
_ENDS = (hf.EosTokenCriteria, hf.MaxLengthCriteria)


def draft_and_verify(
    model: Any,
    input_ids: Int[Tensor, "1 seq"],
    logits_processor: hf.LogitsProcessorList,
    stopping_criteria: hf.StoppingCriteriaList,
    generation_config: hf.GenerationConfig,
    drafter: Any = None,
    schedule: Schedule | None = None,
    gamma: int | None = None,
    seed: int | None = None,
    **model_kwargs: Any,
) -> Int[Tensor, "1 seq"] | GenerateDecoderOnlyOutput:
    """Decode as `speculative_generate` does; called by `generate()`, not by you.

    The call gives `drafter`, the model (or `assistant_model`), and may give `schedule`, or `gamma`
    for a constant one (by default what the drafter's configuration says), and `seed` (by default
    drawn from torch's global generator). A cache may hold what stands before `input_ids`, where the
    attention mask is as long as both.

    Source: transformers 5.22.2, `GenerationMixin.generate(custom_generate=...)`.
    """
    # `generate()` hands a function neither all that it was given nor its streamer.
    caller: Any = sys._getframe(1)
    while caller and caller.f_code.co_qualname != "GenerationMixin.generate":
        caller = caller.f_back  # a function of the caller's own may stand between
    call = caller.f_locals if caller else {}
    assistant, cache = call.get("assistant_model"), model_kwargs.get(CACHE)
    if drafter is not None and assistant not in (None, drafter):
        raise ValueError("got drafter and another assistant_model, need one of them")
    drafter = assistant if drafter is None else drafter
    _refuse(generation_config, model_kwargs, call)
    _check(input_ids, drafter, generation_config, model_kwargs)
    before = _tokens_before(input_ids, generation_config, model_kwargs)
    eos, longest = _ends(stopping_criteria, generation_config)
    criteria = [c for c in stopping_criteria if type(c) not in _ENDS]
    if before:  # who looks at the text sees the ids that the call gave
        seen = [*logits_processor]
        later = [lambda ids, scores: hf.LogitsProcessorList(seen)(ids[:, before:], scores)]
        logits_processor = hf.LogitsProcessorList(later)
        criteria = [lambda ids, scores, c=c: c(ids[:, before:], scores) for c in criteria]
    trained = [m for part in (model, drafter) for m in part.modules() if m.training]
    try:
        pair = ModelPair(model, drafter)  # in evaluation mode
        room = max(1, longest - input_ids.shape[1])
        settings = Settings(max_new_tokens=room, streamer=call.get("streamer"))
        whole = torch.cat([input_ids.new_zeros(1, before), input_ids], dim=1)
        prompt, proposer = pair.encode(whole, room), pair.new_drafter()
        if cache is not None:
            _leave_one_unread(cache, prompt.shape[1])
        run = Run(pair, prompt, settings, shares_state=proposer.needs_state, cache=cache)
        run.eos_ids, generator, run.criteria = eos, None, hf.StoppingCriteriaList(criteria)
        if generation_config.do_sample:
            start = int(torch.randint(2**62, ()) if seed is None else seed)
            generator = torch.Generator(prompt.device).manual_seed(start)
        run.sampler = Sampler(logits_processor, generator)
        speculate(run, proposer, choose_schedule(pair, schedule, gamma))
    finally:
        for part in trained:
            part.training = True
    ids = run.ids[:, before:]
    if generation_config.return_dict_in_generate:
        return GenerateDecoderOnlyOutput(sequences=ids, **{CACHE: run.target.cache})
    return ids


def _ends(criteria: hf.StoppingCriteriaList, config: hf.GenerationConfig) -> tuple[set[int], int]:
    """Return the end tokens and the length: the library's own, or a caller's in their stead."""
    eos = [c.eos_token_id.reshape(-1).tolist() for c in criteria if type(c) is hf.EosTokenCriteria]
    lengths = [c.max_length for c in criteria if type(c) is hf.MaxLengthCriteria]
    ends = set().union(*eos) if eos else configured_eos_ids(config)
    return ends, min(lengths, default=config.max_length)


def _leave_one_unread(cache: Any, prompt_length: int) -> None:
    """Cut a caller's cache of the whole prompt back by one token, which gives the first logits."""
    surplus = cache.get_seq_length() - (prompt_length - 1)
    sliding = (c for c in cache.layers if getattr(c, "is_sliding", False))  # not a `DummyLayer`
    full = [c for c in sliding if c.get_seq_length() >= c.sliding_window]
    # A longer cache is one of another text. And past its window a sliding layer has forgotten what
    # it would need again.
    if surplus > 1 or (surplus == 1 and full):
        both = f"got a cache of {cache.get_seq_length()} tokens for a prompt of {prompt_length}"
        raise ValueError(f"{both}: pass the whole conversation, its new turn too, or no {CACHE}")
    if surplus == 1:
        cache.crop(-1)


def _refuse(config: hf.GenerationConfig, given: dict[str, Any], call: dict[str, Any]) -> None:
    """Raise where something is given that is not honoured, with its name."""
    defaults, written = config._get_default_generation_params(), call.get("kwargs", {})
    fields, arguments = vars(hf.GenerationConfig()), inspect.signature(hf.GenerationMixin.generate)
    found = {k: call[k] for k in arguments.parameters if k in call and k not in ("self", "kwargs")}
    for name in fields.keys() - set(_HONOURED["settings"]):
        value = getattr(config, name, None)
        # How to draft is ours to say, so that the library's own default is something else, too.
        if value != defaults.get(name) or (name in written and "assistant" in name):
            found[name] = value
    found = {k: v for k, v in found.items() if v is not False and k[0] != "_"} | given
    known = {CACHE, *_HONOURED["arguments"]}
    found = {k: v for k, v in found.items() if k not in known and v is not None}
    # Made of `pixel_values` and others; empty where there are none.
    if (seen := found.pop("mm_encoder_outputs", {})) != {}:
        content = {k: v for k, v in written.items() if k not in known | fields.keys()}
        found |= content or {"mm_encoder_outputs": seen}
    if found:
        numbers = {k: f"={v!r}" for k, v in found.items() if isinstance(v, int | float | str)}
        told = ", ".join(f"{name}{numbers.get(name, '')}" for name in sorted(found))
        does = "draft_and_verify reads text alone and does not follow that"
        raise ValueError(f"got {told}: {does}; leave it out (gamma= or schedule= say how to draft)")


def _check(ids: Tensor, drafter: Any, config: hf.GenerationConfig, given: dict[str, Any]) -> None:
    """Raise where a value of what is honoured is one that the loop cannot follow."""
    if not hasattr(drafter, "modules"):
        raise ValueError("draft_and_verify needs drafter=..., a model: your assistant_model")
    if ids.shape[0] != 1:
        raise ValueError(f"got {ids.shape[0]} sequences, need 1: call generate() once for each")
    if given.get("use_cache") is False:
        raise ValueError("got use_cache=False, need True: rejected drafts are cut out of a cache")
    if not isinstance(cache := given.get(CACHE), hf.DynamicCache | None):
        kind = f"{type(cache).__name__} (cache_implementation={config.cache_implementation!r})"
        raise ValueError(f"got a {kind}, need a DynamicCache: it can be cut back")
    for name in ("token_type_ids", "mm_token_type_ids"):
        if given.get(name) is not None and bool(given[name].any()):
            raise ValueError(f"got {name} that are not 0: draft_and_verify reads text alone")


def _tokens_before(ids: Tensor, config: hf.GenerationConfig, given: dict[str, Any]) -> int:
    """Return how many tokens the cache holds before `ids`: none where these are the whole text."""
    cache, mask, n_ids = given.get(CACHE), given.get("attention_mask"), ids.shape[1]
    if mask is not None and bool((mask != 1).any()):
        how = "pass attention_mask=torch.ones_like(input_ids) where that token is part of the text"
        raise ValueError(f"got padding, by attention_mask or pad_token_id, need none: {how}")
    length = getattr(config, "_mask_length", n_ids) if mask is None else mask.shape[1]
    if length - n_ids not in (0, 0 if cache is None else cache.get_seq_length()):
        got = f"got an attention mask of {length} tokens for {n_ids} ids"
        raise ValueError(f"{got}, need {n_ids}, or as many as the cache holds and {n_ids} more")
    for name in ("position_ids", "cache_position"):
        places = torch.arange(length) if given.get(name) is None else given[name].flatten().cpu()
        wanted = torch.arange(length)[-len(places) :]
        if len(places) not in (length, n_ids) or not torch.equal(places, wanted):
            told = f"need those of the tokens, up to {length - 1}: leave {name} out"
            raise ValueError(f"got {name} {places.tolist()}, {told}")
    return length - n_ids
