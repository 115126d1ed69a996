"""The texts that a case is compared with: plain decoding by the library, by us, and by a rule."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from transformers import StoppingCriteriaList

from gemma_mtp_edu import AcceptanceProfile
from gemma_mtp_edu.analysis.profile import profile_of
from gemma_mtp_edu.core.decoding import autoregressive_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from tools.fuzz import models
from tools.fuzz.cases import Setting
from tools.fuzz.models import Stop, ending_at, make_pair, processors_of, prompt_of, stop_of


@dataclass(frozen=True, slots=True)
class Plain:
    """The plain greedy text of a setting.

    Attributes:
        free: What the library writes when only the limit ends the text.
        stop: What ends it, taken from `free`.
        wanted: What is left of `free` when the stop is applied token by token.
        reason: Why it ended, by the same rule.
        trace: Our plain run; None where only `generate()` takes the stop.
    """

    free: list[int]
    stop: Stop
    wanted: list[int]
    reason: str
    trace: GenerationTrace | None


def function_arguments(setting: Setting, stop: Stop) -> dict[str, Any]:
    """Return the arguments of our functions."""
    return {
        "max_new_tokens": setting.max_new_tokens,
        "temperature": setting.temperature,
        "top_k": setting.top_k,
        "top_p": setting.top_p,
        "repetition_penalty": setting.repetition_penalty,
        "logits_processor": processors_of(setting),
        "stop_strings": [stop.string] if stop.string else None,
    }


def generate_arguments(setting: Setting, ids: torch.Tensor) -> dict[str, Any]:
    """Return the arguments of `generate()`, without stops."""
    arguments: dict[str, Any] = {
        "attention_mask": torch.ones_like(ids),
        "logits_to_keep": torch.tensor([-1]),  # with an int, 5.24.0 fails for some of the shapes
        "max_new_tokens": setting.max_new_tokens,
        "do_sample": not setting.is_greedy,
        "repetition_penalty": setting.repetition_penalty or 1.0,
        "no_repeat_ngram_size": 2 if setting.no_repeat else 0,
    }
    if not setting.is_greedy:
        arguments["temperature"] = setting.temperature
        arguments |= {"top_k": setting.top_k or 0, "top_p": setting.top_p or 1.0}
    return arguments


@lru_cache(maxsize=8)
def plain_of(setting: Setting) -> Plain:
    """Return the plain greedy text, after checking that library, our loop and the rule agree.

    For a sampled setting it is the greedy text of the same models, from which stop and script come.
    """
    pair, ids = make_pair(setting.shape, setting.wrapped, setting.double), prompt_of(setting)
    greedy = generate_arguments(setting, ids) | {"do_sample": False}
    for name in ("temperature", "top_k", "top_p"):
        greedy.pop(name, None)
    free = pair.target.generate(ids, **greedy)[0, ids.shape[1] :].tolist()
    stop = stop_of(setting, free)
    wanted, reason = shortened(setting, ids, free, stop)
    if not setting.is_greedy:
        return Plain(free, stop, wanted, reason, None)
    with ending_at(pair, stop):
        theirs = pair.target.generate(ids, **greedy, **library_stop(setting, stop))
        assert theirs[0, ids.shape[1] :].tolist() == wanted, "the library and the rule differ"
        if stop.divisor is not None:
            return Plain(free, stop, wanted, reason, None)
        trace = autoregressive_generate(pair, ids, **function_arguments(setting, stop))
    assert list(trace.token_ids) == wanted, "our plain loop and the library differ"
    assert trace.stop_reason == reason, f"plain loop: {trace.stop_reason}, rule: {reason}"
    return Plain(free, stop, wanted, reason, trace)


def library_stop(setting: Setting, stop: Stop) -> dict[str, Any]:
    """Return the library's arguments for a stop."""
    if stop.string:
        pair = make_pair(setting.shape, setting.wrapped, setting.double)
        return {"stop_strings": [stop.string], "tokenizer": pair.tokenizer}
    if stop.divisor is not None:
        return {"stopping_criteria": StoppingCriteriaList([models.EndsAfter(stop.divisor)])}
    return {}


def shortened(
    setting: Setting, prompt: torch.Tensor, tokens: list[int], stop: Stop
) -> tuple[list[int], str]:
    """Return the tokens up to the first one that ends the text, and the reason."""
    start = prompt[0].tolist()
    for index, token in enumerate(tokens):
        reason = stop.ends(setting.shape.vocab, start + tokens[:index], token)
        if reason is not None:
            return tokens[: index + 1], reason
    return tokens, "length"


@lru_cache(maxsize=2)
def profile_of_plain(setting: Setting) -> AcceptanceProfile | None:
    """Return the acceptance profile of a plain text; None where there cannot be one."""
    plain = plain_of(setting)
    if plain.trace is None or plain.reason == "stop" or setting.is_processed:
        return None
    pair = make_pair(setting.shape, setting.wrapped, setting.double)
    limit = setting.max_new_tokens
    return profile_of(pair, plain.trace, max_gamma=limit, max_new_tokens=limit)
