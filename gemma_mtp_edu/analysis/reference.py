"""The library's own `generate()`, traced round by round through its public hooks only.

A streamer receives one chunk of tokens per target pass, a hook on the target sees the drafts go in
and the logits come out, a hook on the drafter sees each draft step. Nothing in the library is
replaced.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int  # an edge: arguments are checked here
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor
from transformers.generation.streamers import BaseStreamer

from gemma_mtp_edu.analysis.lossless import first_difference
from gemma_mtp_edu.core.decoding import clock
from gemma_mtp_edu.core.sampling import Settings, check_finite
from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.core.trace import GenerationTrace, NextKind, RoundTrace, StopReason, kind_after
from gemma_mtp_edu.models.pairs import ModelPair

_OWN_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


def reference_generate(
    pair: ModelPair,
    prompt: str | Int[Tensor, "1 seq"],
    *,
    assisted: bool = True,
    gamma: int | None = None,
    **settings: Any,
) -> GenerationTrace:
    """Run `target.generate()` with or without the drafter and record what happened.

    The models' configurations and hooks and the global random state are as before afterwards, also
    after an error: the run works on views of the models.

    Args:
        pair: The models.
        prompt: A user's message, or token ids `[1, seq]`.
        assisted: Whether the drafter proposes tokens.
        gamma: Drafts per round; by default what `drafter.generation_config.num_assistant_tokens`
            says, or the registry's recommendation where that is unset.
        **settings: See `Settings`. Assisted sampling by the library is not lossless for this
            drafter (transformers#47932), and it may go past stop strings.

    Returns:
        The trace. Round 0 is the prefill. Its target probabilities are those of the raw logits,
        before temperature, top-k and top-p; those of `speculative_generate` are after them.

    Source: transformers 5.22.2, `GenerationMixin._assisted_decoding`.
    """
    chosen = Settings(**settings)
    ids = pair.encode(prompt, chosen.max_new_tokens)
    target, drafter = plain_view(pair.target), view_of(pair.drafter)
    arguments = _arguments(pair, chosen)
    if assisted:
        drafter = arguments["assistant_model"] = drafter_with(pair, gamma)
    recorder = _Recorder(target, drafter, ids.shape[1], chosen)
    with drawing(pair.device, chosen.seed if chosen.temperature > 0 else None):
        try:
            output = target.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), streamer=recorder, **arguments
            )
        except RuntimeError:
            recorder.check()  # the library's own words name no model
            raise
    recorder.check()
    token_ids = output[0, ids.shape[1] :].tolist()
    reason: StopReason = "length" if len(token_ids) >= chosen.max_new_tokens else "stop"
    if token_ids and token_ids[-1] in pair.eos_ids:
        reason = "eos"
    method = "generate, assisted" if assisted else "generate, plain"
    return pair.trace(ids[0].tolist(), token_ids, recorder.rounds(), reason, method)


@dataclass(slots=True)
class _Pass:
    """One target pass while it is recorded; probabilities stay tensors until the run is over."""

    draft_ids: Tensor
    draft_probs: list[Tensor]
    draft_seconds: float
    started: float
    target_probs: Tensor | None = None
    best: Tensor | None = None
    chunk: tuple[int, ...] = ()
    verify_seconds: float = 0.0
    ended: float = 0.0


class _Recorder(BaseStreamer):
    """Listens to a run: streamer for the library, hooks on views of both models."""

    def __init__(self, target: Any, drafter: Any, prompt_length: int, settings: Settings) -> None:
        self.device: torch.device = target.device
        self.prompt_length, self.settings = prompt_length, settings
        self.passes: list[_Pass] = []
        self.draft_probs: list[Tensor] = []
        self.draft_seconds = self.step_started = 0.0
        self.saw_prompt = False
        target.register_forward_pre_hook(self._target_starts, with_kwargs=True)
        target.register_forward_hook(self._target_ends)
        drafter.register_forward_pre_hook(self._drafter_starts)
        drafter.register_forward_hook(self._drafter_ends)
        self.last_end = clock(self.device)

    def check(self) -> None:
        """Raise where a model gave no number to choose by; the library does not look."""
        for current in self.passes:
            if current.draft_probs:
                check_finite(torch.stack(current.draft_probs), "drafter")
            if current.best is not None:
                check_finite(current.best, "target")

    def put(self, value: Tensor) -> None:
        """Take the prompt first, then one chunk of tokens per target pass."""
        if self.settings.streamer is not None:
            self.settings.streamer.put(value.clone())
        if not self.saw_prompt:
            self.saw_prompt = True
            return
        current = self.passes[-1]
        current.chunk = tuple(value.reshape(-1).tolist())
        current.ended = self.last_end = clock(self.device)
        if self.settings.on_tokens is not None:
            self.settings.on_tokens(current.chunk)

    def end(self) -> None:
        """Tell the caller's streamer."""
        if self.settings.streamer is not None:
            self.settings.streamer.end()

    def rounds(self) -> list[RoundTrace]:
        """Return the records, once the run is over."""
        records: list[RoundTrace] = []
        length = self.prompt_length
        for current in self.passes:
            if current.chunk:
                records.append(_record(current, length, first=not records))
                length += len(current.chunk)
        return records

    def _target_starts(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        ids = kwargs["input_ids"][0]
        drafts = ids[1:] if self.passes else ids[:0]
        self.step_started = clock(self.device)
        self.passes.append(_Pass(drafts, self.draft_probs, self.draft_seconds, self.last_end))
        self.draft_probs, self.draft_seconds = [], 0.0

    def _target_ends(self, module: Any, args: Any, output: Any) -> None:
        current = self.passes[-1]
        current.verify_seconds = clock(self.device) - self.step_started
        current.best = output.logits[0].amax(-1)
        drafts = current.draft_ids
        if len(drafts):
            logits = output.logits[0, -len(drafts) - 1 : -1].float()
            current.target_probs = logits.softmax(-1).gather(1, drafts[:, None])[:, 0]

    def _drafter_starts(self, module: Any, args: Any) -> None:
        self.step_started = clock(self.device)

    def _drafter_ends(self, module: Any, args: Any, output: Any) -> None:
        self.draft_seconds += clock(self.device) - self.step_started
        self.draft_probs.append(output.logits[0, -1].float().softmax(-1).max())


def _record(current: _Pass, prefix_length: int, *, first: bool) -> RoundTrace:
    drafts, chunk = tuple(current.draft_ids.tolist()), current.chunk
    n_accepted = min(len(drafts), len(chunk))
    if (differs := first_difference(drafts[:n_accepted], chunk[:n_accepted])) is not None:
        n_accepted = differs
    # A chunk that ends inside the drafts has no token of the target's own: the text ended there.
    ended = n_accepted == len(chunk)
    kind: NextKind = "none" if ended else kind_after(len(drafts), n_accepted, first=first)
    known = current.draft_seconds + current.verify_seconds
    return RoundTrace(
        prefix_length=prefix_length,
        draft_ids=drafts,
        n_accepted=n_accepted,
        next_id=None if ended else chunk[n_accepted],
        next_kind=kind,
        draft_probs=tuple(float(p) for p in current.draft_probs),
        target_probs=() if current.target_probs is None else tuple(current.target_probs.tolist()),
        draft_seconds=current.draft_seconds,
        verify_seconds=current.verify_seconds,
        other_seconds=max(0.0, current.ended - current.started - known),
    )


def _arguments(pair: ModelPair, settings: Settings) -> dict[str, Any]:
    """Return the arguments of `generate()`, for a target without defaults of its own."""
    arguments: dict[str, Any] = {
        "max_new_tokens": settings.max_new_tokens,
        "do_sample": settings.temperature > 0,
        "repetition_penalty": settings.repetition_penalty,
        "logits_processor": settings.logits_processor,
    }
    if settings.temperature > 0:
        arguments |= {"temperature": float(settings.temperature)}
        arguments |= {"top_k": settings.top_k or 0, "top_p": float(settings.top_p or 1)}
    if settings.stop_strings:
        arguments |= {"stop_strings": settings.stop_strings, "tokenizer": pair.tokenizer}
    return {name: value for name, value in arguments.items() if value is not None}


def view_of(model: Any) -> Any:
    """Return the same model, with the same weights, but hooks and generation settings of its own.

    What is hooked or set on the view is gone with it, whatever happens, and no other thread that
    runs the model ever sees it.
    """
    view = copy.copy(model)
    for name in _OWN_HOOKS:
        setattr(view, name, copy.copy(getattr(model, name)))
    view.generation_config = copy.copy(model.generation_config)
    return view


def plain_view(target: Any) -> Any:
    """Return a view of the target without the checkpoint's defaults, only with its special ids.

    Those defaults would be the library's alone: beams, penalties, time limits, other outputs.
    """
    view, own = view_of(target), target.generation_config
    view.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    return view


def drafter_with(pair: ModelPair, gamma: int | None) -> Any:
    """Return a view of the drafter with the number of drafts where the library reads it."""
    drafter = view_of(pair.drafter)
    drafts = pair.default_gamma() if gamma is None else check_gamma(gamma)
    drafter.generation_config.num_assistant_tokens = drafts
    return drafter


class OnlyNumbers(LogitsProcessor):
    """Raises at logits that no token can be chosen by; the library would write token 0.

    Looking makes a GPU wait, so it belongs into runs that nobody times.
    """

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores as they are."""
        check_finite(scores.amax(-1), "target")
        return scores


@contextmanager
def drawing(device: torch.device, seed: int | None) -> Iterator[None]:
    """Seed the global generators, for code that draws from no others, and put their state back."""
    if seed is None:
        yield
        return
    mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            torch.manual_seed(seed)
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)
