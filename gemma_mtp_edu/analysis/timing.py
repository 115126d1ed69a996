"""Time what decoding is made of: target passes over several tokens, plain steps, drafter steps.

Kept apart from `cost`, which predicts: this module only measures, with warm-up and interleaved
repeats, so that a machine that slows down halfway cannot favour one length over another.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import DynamicCache

from gemma_mtp_edu.core.arguments import got, listed, whole
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair, check_is_pair
from gemma_mtp_edu.models.releases import drop_newest, keep_past


@dataclass(frozen=True, slots=True)
class PassTimes:
    """Times of one target pass over several tokens, after the same context.

    Attributes:
        lengths: Tokens per pass.
        seconds: Median seconds of a pass, in the order of `lengths`.
        context_length: Tokens in the cache before each pass.
    """

    lengths: tuple[int, ...]
    seconds: tuple[float, ...]
    context_length: int

    @property
    def relative(self) -> tuple[float, ...]:
        """Each time over that of the shortest pass."""
        return tuple(s / self.seconds[0] for s in self.seconds)


@torch.no_grad()
def time_target_passes(
    pair: ModelPair,
    prompt: str | Int[Tensor, "1 seq"],
    lengths: Sequence[int] = (1, 5, 9, 17),
    *,
    repeats: int = 7,
) -> PassTimes:
    """Measure a target pass over each number of tokens, as decoding makes it: with a filled cache.

    Args:
        pair: The models; only the target runs.
        prompt: The context, as text or ids.
        lengths: Tokens per pass.
        repeats: Timed passes per length; the median counts. One more of each warms up.

    Returns:
        Median seconds per pass.

    Raises:
        ValueError: A number is below 1, or the target has no positions for so many tokens.
    """
    check_is_pair(pair)
    counts = tuple(whole(n, "length", 1, " of tokens") for n in listed(lengths, "lengths"))
    if not counts:
        raise ValueError(got(lengths, "lengths", tr("several numbers, such as (1, 2, 5)")))
    repeats = whole(repeats, "repeats")
    ids = pair.encode(prompt)
    if pair.positions is not None and ids.shape[1] + max(counts) > pair.positions:
        raise ValueError(
            tr(
                "got a prompt of {prompt} tokens and lengths up to {length}, need at most "
                "{positions} together: the target has no more positions",
                prompt=ids.shape[1],
                length=max(counts),
                positions=pair.positions,
            )
        )
    cache = DynamicCache(config=pair.target.config.get_text_config())
    pair.target(input_ids=ids, past_key_values=cache, use_cache=True)
    # A cache that records its past can be cropped, so every pass starts from the same context.
    keep_past(cache)
    samples: dict[int, list[float]] = {length: [] for length in counts}
    for _ in range(repeats + 1):
        for length in counts:
            samples[length].append(_time_pass(pair, cache, ids, length))
    seconds = tuple(statistics.median(samples[length][1:]) for length in counts)
    return PassTimes(counts, seconds, ids.shape[1])


def _time_pass(pair: ModelPair, cache: DynamicCache, ids: Tensor, length: int) -> float:
    tokens = ids[:, -1:].expand(1, length)
    positions = torch.arange(ids.shape[1], ids.shape[1] + length, device=ids.device)[None]
    start = clock(pair.device)
    pair.target(input_ids=tokens, position_ids=positions, past_key_values=cache, use_cache=True)
    seconds = clock(pair.device) - start
    drop_newest(cache, length)
    return seconds


def clock(device: torch.device) -> float:
    """Return the time in seconds, once the device has done all that it was given.

    A GPU works ahead of Python: without waiting for it, all time would fall on the last call.
    """
    wait_for(device)
    return time.perf_counter()


def wait_for(device: torch.device) -> None:
    """Wait for the GPU: its calls return before their work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
