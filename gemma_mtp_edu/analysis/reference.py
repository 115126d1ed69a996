"""The library's own `generate()`, traced round by round through its public hooks only.

A streamer receives one chunk of tokens per target pass, a hook on the target sees the drafts go in
and the logits come out, a hook on the drafter sees each draft step. Nothing in the library is
replaced.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor
from transformers.generation.streamers import BaseStreamer

from gemma_mtp_edu.analysis.timing import clock
from gemma_mtp_edu.core.options import OnTokens, check_listeners
from gemma_mtp_edu.core.recording import make_trace
from gemma_mtp_edu.core.sampling import check_drawn, check_sampling, check_scores, drawing
from gemma_mtp_edu.core.schedules import check_gamma, configured_drafts
from gemma_mtp_edu.core.sharing import running, view_of
from gemma_mtp_edu.core.stopping import check_max_new_tokens, readable_stop_strings
from gemma_mtp_edu.core.trace import GenerationTrace, NextKind, RoundTrace, StopReason, kind_after
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair, check_is_pair, eos_ids
from gemma_mtp_edu.models.registry import recommended


def reference_generate(
    pair: ModelPair,
    prompt: str | Int[Tensor, "1 seq"],
    *,
    assisted: bool = True,
    gamma: int | None = None,
    max_new_tokens: int = 128,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    stop_strings: list[str] | None = None,
    seed: int | None = None,
    on_tokens: OnTokens | None = None,
) -> GenerationTrace:
    """Run `target.generate()` with or without the drafter and record what happened.

    Args:
        pair: The models.
        prompt: A user's message, or token ids `[1, seq]`.
        assisted: Whether the drafter proposes tokens.
        gamma: Drafts per round; by default what `drafter.generation_config.num_assistant_tokens`
            says, or the registry's recommendation where that is unset. The configuration is as
            before afterwards, also after an error.
        max_new_tokens: Tokens to write at most; at least 1.
        temperature: 0 for greedy decoding, else sampling. Assisted sampling by the library is not
            lossless for this drafter (transformers#47932).
        top_k: Keep that many most probable tokens when sampling.
        top_p: Keep the most probable tokens up to that mass when sampling.
        stop_strings: Strings that end the text; assisted runs of the library may go past them.
        seed: Seed of the sampling; the global random state is as before afterwards.
        on_tokens: Called with each pass's new token ids, as they come.

    Returns:
        The trace. Round 0 is the prefill. Its target probabilities are those of the raw logits,
        before temperature, top-k and top-p; those of `speculative_generate` are after them.

    Raises:
        ValueError: A number is out of range, or no number of drafts is set anywhere.

    Source:
        transformers 5.22.2, `GenerationMixin._assisted_decoding`.
    """
    check_is_pair(pair)
    check_sampling(temperature, top_k, top_p)
    check_drawn(temperature, top_k, top_p)
    temperature = float(temperature)
    check_listeners(on_tokens)
    ids = pair.encode(prompt)
    max_new_tokens = check_max_new_tokens(max_new_tokens, ids.shape[1], pair.positions)
    arguments = _arguments(pair, max_new_tokens, temperature, top_k, top_p, stop_strings)
    if gamma is not None:
        check_gamma(gamma)
    target, drafter = plain_view(pair.target), view_of(pair.drafter)
    if assisted:
        drafter = arguments["assistant_model"] = drafter_with(pair, gamma)
    recorder = _Recorder(target, drafter, ids.shape[1], on_tokens)
    with running(pair.target, pair.drafter), drawing(pair.device, seed, temperature > 0):
        try:
            output = target.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), streamer=recorder, **arguments
            )
        except RuntimeError:
            recorder.check()  # the library's own words name neither model nor round
            raise
    recorder.check()
    token_ids = tuple(output[0, ids.shape[1] :].tolist())
    method = "generate, assisted" if assisted else "generate, plain"
    stop_reason = _stop_reason(pair, token_ids, max_new_tokens)
    return make_trace(pair, ids, token_ids, recorder.rounds(), stop_reason, method)


@dataclass(slots=True)
class _Pass:
    """One target pass while it is recorded; probabilities stay tensors until the run is over."""

    draft_ids: Tensor
    draft_probs: list[Tensor] = field(default_factory=list)
    target_probs: Tensor | None = None
    chunk: tuple[int, ...] = ()
    draft_seconds: float = 0.0
    verify_seconds: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    best: Tensor | None = None


class _Recorder(BaseStreamer):
    """Listens to a run: streamer for the library, hooks on views of both models."""

    def __init__(
        self, target: Any, drafter: Any, prompt_length: int, on_tokens: OnTokens | None
    ) -> None:
        self.device: torch.device = target.device
        self.prompt_length = prompt_length
        self.on_tokens = on_tokens
        self.passes: list[_Pass] = []
        self.draft_probs: list[Tensor] = []
        self.draft_seconds = 0.0
        self.step_started = 0.0
        self.saw_prompt = False
        target.register_forward_pre_hook(self._target_starts, with_kwargs=True)
        target.register_forward_hook(self._target_ends)
        drafter.register_forward_pre_hook(self._drafter_starts)
        drafter.register_forward_hook(self._drafter_ends)
        self.last_end = clock(self.device)

    def check(self) -> None:
        """Raise where a model gave no number to choose by; the library does not look.

        Raises:
            NonFiniteLogitsError: It names the model and the round.
        """
        for index, current in enumerate(self.passes):
            where = tr("in round {round}", round=index)
            if current.draft_probs:
                check_scores(torch.stack(current.draft_probs), "drafter", where)
            if current.best is not None:
                check_scores(current.best, "target", where)

    def put(self, value: Tensor) -> None:
        """Take the prompt first, then one chunk of tokens per target pass."""
        if not self.saw_prompt:
            self.saw_prompt = True
            return
        current = self.passes[-1]
        current.chunk = tuple(value.reshape(-1).tolist())
        current.ended = self.last_end = clock(self.device)
        if self.on_tokens is not None:
            self.on_tokens(current.chunk)

    def end(self) -> None:
        """Do nothing: the last chunk has been put already."""

    def rounds(self) -> tuple[RoundTrace, ...]:
        """Return the records, once the run is over."""
        records: list[RoundTrace] = []
        length = self.prompt_length
        for current in self.passes:
            if current.chunk:
                records.append(_record(current, length, first=not records))
                length += len(current.chunk)
        return tuple(records)

    def _target_starts(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        ids = kwargs["input_ids"][0]
        drafts = ids[1:] if self.passes else ids[:0]
        self.step_started = clock(self.device)
        self.passes.append(
            _Pass(drafts, self.draft_probs, None, (), self.draft_seconds, 0.0, self.last_end)
        )
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
    drafts = tuple(current.draft_ids.tolist())
    n_accepted, next_id, next_kind = _judge(drafts, current.chunk, first=first)
    known = current.draft_seconds + current.verify_seconds
    return RoundTrace(
        prefix_length=prefix_length,
        draft_ids=drafts,
        n_accepted=n_accepted,
        next_id=next_id,
        next_kind=next_kind,
        draft_probs=tuple(float(p) for p in current.draft_probs),
        target_probs=() if current.target_probs is None else tuple(current.target_probs.tolist()),
        draft_seconds=current.draft_seconds,
        verify_seconds=current.verify_seconds,
        other_seconds=max(0.0, current.ended - current.started - known),
    )


def _judge(
    drafts: tuple[int, ...], chunk: tuple[int, ...], *, first: bool
) -> tuple[int, int | None, NextKind]:
    """Tell accepted drafts from the target's own token in the chunk that a pass committed.

    A chunk that ends inside the drafts has no token of the target's own: the text ended there.
    """
    pairs = zip(drafts, chunk, strict=False)
    n_accepted = next((i for i, (d, c) in enumerate(pairs) if d != c), min(len(drafts), len(chunk)))
    if n_accepted == len(chunk):
        return n_accepted, None, "none"
    return n_accepted, chunk[n_accepted], kind_after(len(drafts), n_accepted, first=first)


def _arguments(
    pair: ModelPair,
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    stop_strings: list[str] | None,
) -> dict[str, Any]:
    """Return the arguments of `generate()`, for a target without defaults of its own."""
    arguments: dict[str, Any] = {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0}
    if temperature > 0:
        arguments |= {
            "temperature": float(temperature), "top_k": int(top_k or 0), "top_p": float(top_p or 1)
        }  # fmt: skip
    if strings := readable_stop_strings(stop_strings, pair.tokenizer):
        arguments |= {"stop_strings": strings, "tokenizer": pair.tokenizer}
    return arguments


def plain_view(target: Any) -> Any:
    """Return a view of the target without the checkpoint's defaults, only with its special ids.

    Those defaults would be the library's alone: beams, penalties, time limits, other outputs.
    """
    view = view_of(target)
    own = target.generation_config
    view.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id
    )
    return view


class OnlyNumbers(LogitsProcessor):
    """Refuses logits that no token can be chosen by; the library would write token 0.

    Looking makes a GPU wait, so it belongs into runs that nobody times.
    """

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores as they are.

        Raises:
            NonFiniteLogitsError: One row has NaN or infinity as its best score.
        """
        where = tr("after {tokens} tokens of prompt and text", tokens=input_ids.shape[1])
        check_scores(scores.amax(-1), "target", where)
        return scores


def drafter_with(pair: ModelPair, gamma: int | None) -> Any:
    """Return a view of the drafter with the number of drafts where the library reads it.

    Raises:
        ValueError: The number is out of range, or none is set anywhere.
    """
    drafter = view_of(pair.drafter)
    config = drafter.generation_config
    config.num_assistant_tokens = (
        configured_drafts(config, recommended(pair.name)) if gamma is None else check_gamma(gamma)
    )
    return drafter


def _stop_reason(pair: ModelPair, token_ids: tuple[int, ...], max_new_tokens: int) -> StopReason:
    if token_ids and token_ids[-1] in eos_ids(pair.target):
        return "eos"
    return "length" if len(token_ids) >= max_new_tokens else "stop"
