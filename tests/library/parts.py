"""What a transformers release does right with a Gemma 4 drafter: a function for each part.

The names are those of the doctor's table. No part needs files or our own loop, so they also run on
releases that the package refuses.
"""

import string
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu.core.schedules import Heuristic
from tests.library.cycle import CyclePair, cycle_pair
from tests.library.emitted import observed_distribution, total_variation
from tests.library.watch import Watched, watch_library

TOKENS, PROMPT, START = 40, 12, 4
LETTERS = string.ascii_letters + string.digits + "+/"  # 64, as the pair has tokens


def holds(name: str) -> bool:
    """Return whether the installed release does a part right; an error is no."""
    try:
        return PARTS[name]()
    except (AttributeError, ImportError, IndexError, RuntimeError, TypeError, ValueError):
        return False


@cache
def models() -> CyclePair:
    """Return a pair whose drafter asks for the heuristic schedule."""
    pair = cycle_pair()
    pair.drafter.generation_config.num_assistant_tokens = START
    pair.drafter.generation_config.num_assistant_tokens_schedule = "heuristic"
    return pair


@cache
def prompt() -> Tensor:
    """Return a prompt that is longer than the sliding window."""
    return models().prompt(PROMPT)


@cache
def plain() -> tuple[int, ...]:
    """Return the text that the target writes alone."""
    return tuple(generate(prompt(), TOKENS)[0].tolist())


def generate(ids: Tensor, limit: int, **more: Any) -> Tensor:
    """Return what the target writes greedily behind prompts of one length."""
    settings = {"attention_mask": torch.ones_like(ids), "do_sample": False, **more}
    return models().target.generate(ids, max_new_tokens=limit, **settings)[:, ids.shape[1] :]


@cache
def assisted() -> Watched:
    """Return the library's assisted run."""
    return watch_library(models(), prompt(), max_new_tokens=TOKENS, do_sample=False)


def number_in_a_call() -> bool:
    """Whether `generate(num_assistant_tokens=2)` drafts two tokens; else the configuration's."""
    settings = {"do_sample": False, "num_assistant_tokens": 2}
    run = watch_library(cycle_pair(), prompt(), max_new_tokens=12, **settings)
    return max(run.draft_lengths) == 2


def stop_case() -> tuple[Any, str, int]:
    """Return a tokenizer, a stop string, and after how many tokens the text must end."""
    run = assisted()
    rounds = zip(run.rounds, run.accepted, strict=True)
    place = next(seen.length - PROMPT for seen, accepted in rounds if accepted >= 2)
    token = plain()[place]  # a draft that was accepted with others behind it
    return _tokenizer(), LETTERS[token], plain().index(token) + 1


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders
    from tokenizers import models as kinds
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(kinds.BPE({letter: i for i, letter in enumerate(LETTERS)}, []))
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def stops() -> bool:
    """Whether the text ends at a stop string inside accepted drafts."""
    tokenizer, stop, wanted = stop_case()
    more = {"do_sample": False, "stop_strings": [stop], "tokenizer": tokenizer}
    return len(watch_library(models(), prompt(), max_new_tokens=TOKENS, **more).token_ids) == wanted


@cache
def sampling_pair() -> CyclePair:
    """Return a pair of four tokens, one draft per round."""
    pair = cycle_pair(vocab=4, sharpness=0.25)
    pair.drafter.generation_config.num_assistant_tokens = 1
    return pair


def sampling_difference(loop: Callable[[CyclePair, Tensor], tuple[int, ...]]) -> float:
    """Return the total variation between what a loop emits and the target's distribution."""
    pair = sampling_pair()
    ids = pair.prompt(6)
    first = int(pair.successors[ids[0, -1]])
    text = torch.cat([ids, torch.tensor([[first]])], dim=1)
    with torch.no_grad():
        logits = pair.target(text, use_cache=False).logits[0, -1]
    emitted = observed_distribution(lambda: loop(pair, ids), first)
    return total_variation(emitted, logits.double().softmax(-1))


def sampled(pair: CyclePair, ids: Tensor) -> tuple[int, ...]:
    """Run the library's loop with sampling."""
    settings = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    return watch_library(pair, ids, max_new_tokens=3, **settings).token_ids


def takes_a_batch() -> bool:
    """Whether two prompts can be given at once."""
    text = generate(prompt().repeat(2, 1), 4, assistant_model=models().drafter)
    return bool((text == torch.tensor(plain()[:4])).all())


def shares_kv() -> bool:
    """Whether a target without shared layers gives keys and values to a drafter."""
    output = models().target.model(prompt(), return_shared_kv_states=True)
    return set(output.shared_kv_states) == {"sliding_attention", "full_attention"}


PARTS: dict[str, Callable[[], bool]] = {
    "builds a drafter": lambda: bool(models().drafter),
    "generates with a drafter": lambda: assisted().token_ids == plain(),
    "passes the right state": lambda: not assisted().wrong_states(models().target),
    "honours the schedule": lambda: (
        assisted().draft_lengths == assisted().wanted_lengths(Heuristic(START))
    ),
    "honours the number of drafts in a call": number_in_a_call,
    "samples without bias": lambda: sampling_difference(sampled) < 1e-3,
    "passes clean KV": lambda: not assisted().stale_rounds(models().target),
    "stops at a stop string": stops,
    "takes a batch": takes_a_batch,
    "shares the KV of every target": shares_kv,
}
