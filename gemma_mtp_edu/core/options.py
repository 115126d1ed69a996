"""What both generate functions let a caller choose, checked before a model runs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from gemma_mtp_edu.core.sampling import (
    Sampler,
    check_drawn,
    check_sampling,
    check_seed,
    logits_processors,
    seeded_generator,
)
from gemma_mtp_edu.core.stopping import check_stop_strings
from gemma_mtp_edu.lessons.language import tr

OnTokens = Callable[[tuple[int, ...]], None]


@runtime_checkable
class Streamer(Protocol):
    """What transformers' streamers can do."""

    def put(self, value: Tensor) -> None:
        """Take the prompt first, then new tokens."""
        ...

    def end(self) -> None:
        """Know that the text is over."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """How to write a text: the arguments that both generate functions share.

    Raises:
        ValueError: A number is out of range, or something is of another kind.
    """

    max_new_tokens: int
    temperature: float
    top_k: int | None
    top_p: float | None
    repetition_penalty: float | None
    logits_processor: LogitsProcessorList | None
    stop_strings: list[str] | None
    seed: int | None
    on_tokens: OnTokens | None
    streamer: Streamer | None

    def __post_init__(self) -> None:
        check_sampling(self.temperature, self.top_k, self.top_p, self.repetition_penalty)
        check_drawn(self.temperature, self.top_k, self.top_p)
        check_listeners(self.on_tokens, self.streamer)
        # From here on they are Python's own numbers, whatever library they came from.
        for name in ("temperature", "top_p", "repetition_penalty"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else float(value))
        object.__setattr__(self, "top_k", None if self.top_k is None else int(self.top_k))
        object.__setattr__(self, "stop_strings", check_stop_strings(self.stop_strings))
        if self.seed is not None:
            object.__setattr__(self, "seed", check_seed(self.seed))

    def sampler(self, device: torch.device) -> Sampler:
        """Return how tokens are chosen.

        Raises:
            ValueError: Something else than logits processors is among them.
        """
        processors = logits_processors(
            self.temperature,
            self.top_k,
            self.top_p,
            self.repetition_penalty,
            check_processors(self.logits_processor),
        )
        draws = self.temperature > 0
        return Sampler(processors, seeded_generator(device, self.seed) if draws else None)


def check_listeners(on_tokens: Any, streamer: Any = None) -> None:
    """Raise unless who listens can be told, before a model runs.

    Raises:
        ValueError: `on_tokens` cannot be called, or `streamer` is none of transformers' streamers.
    """
    if on_tokens is not None and not callable(on_tokens):
        raise ValueError(
            tr(
                "got on_tokens {on_tokens!r}, need a function of new token ids, such as print",
                on_tokens=on_tokens,
            )
        )
    if streamer is not None and (isinstance(streamer, type) or not isinstance(streamer, Streamer)):
        raise ValueError(
            tr(
                "got streamer {streamer!r}, need an object with put and end, such as "
                "transformers' TextStreamer(pair.tokenizer)",
                streamer=streamer,
            )
        )


def check_processors(processors: Any) -> list[LogitsProcessor]:
    """Return logits processors as a list.

    Raises:
        ValueError: They are no list, or one of them cannot be called.
    """
    if processors is None:
        return []
    given = list(processors) if isinstance(processors, Iterable) else [processors]
    if not isinstance(processors, Iterable) or not all(map(callable, given)):
        raise ValueError(
            tr(
                "got logits_processor {processors!r}, need a list of transformers' logits "
                "processors",
                processors=processors,
            )
        )
    return given
