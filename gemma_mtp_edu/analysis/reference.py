"""The library's own `generate()`, traced round by round through its public hooks only.

A streamer receives one chunk of tokens per target pass, a hook on the target sees the drafts go in
and the logits come out, a hook on the drafter sees each draft step. Nothing is replaced.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, StoppingCriteriaList, StopStringCriteria
from transformers.generation.streamers import BaseStreamer

from gemma_mtp_edu.analysis.profile import accepted_counts
from gemma_mtp_edu.core.decoding import clock
from gemma_mtp_edu.core.sampling import Ids, Settings, check_finite
from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace, StopReason, kind_after
from gemma_mtp_edu.models.pairs import ModelPair


def reference_generate(
    pair: ModelPair,
    prompt: str | Ids,
    *,
    assisted: bool = True,
    gamma: int | None = None,
    **settings: Any,
) -> GenerationTrace:
    """Run `target.generate()`, assisted by the drafter or not, and record what happened.

    It works on views of the models: an interrupt leaves their configurations and hooks as before.
    There are `gamma` drafts per round, by default what the drafter's generation configuration says,
    or the registry where that is unset; for `settings` see `Settings`. Assisted sampling by the
    library is not lossless for this drafter (transformers#47932), and it may go past stop strings.
    The trace's target probabilities are before temperature, top-k and top-p.

    Source: transformers 5.22.2, `GenerationMixin._assisted_decoding`.
    """
    chosen = Settings(**settings)
    ids = pair.encode(prompt, chosen.max_new_tokens)
    target, drafter = plain_view(pair.target), drafter_with(pair, gamma) if assisted else None
    arguments = _arguments(pair, chosen) | ({"assistant_model": drafter} if assisted else {})
    recorder = _Recorder(target, drafter, chosen)
    with drawing(pair.device, chosen.seed if chosen.temperature > 0 else None):
        output = target.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), streamer=recorder, **arguments
        )
    token_ids = output[0, ids.shape[1] :].tolist()
    ended = any(c(output, None) for c in arguments.get("stopping_criteria", ()))
    reason: StopReason = "stop" if ended or len(token_ids) < chosen.max_new_tokens else "length"
    reason = "eos" if token_ids[-1] in pair.eos_ids else reason
    method = "generate, assisted" if assisted else "generate, plain"
    return pair.trace(ids[0].tolist(), token_ids, recorder.rounds, reason, method)


class _Recorder(BaseStreamer):
    """Listens to a run: streamer for the library, hooks on views of both models."""

    def __init__(self, target: Any, drafter: Any, settings: Settings) -> None:
        self.device, self.target = target.device, target
        self.rounds, self.settings, self.length = list[RoundTrace](), settings, 0
        self._forget()
        for model, ends in ((target, self._target_ends), (drafter, self._drafter_ends)):
            if model is not None:
                model.register_forward_pre_hook(self._starts, with_kwargs=True)
                model.register_forward_hook(ends)

    def _forget(self) -> None:
        """Begin a round."""
        self.drafts, self.draft_probs, self.target_probs = torch.zeros(0), list[Tensor](), ()
        self.draft_seconds, self.verify_seconds, self.started = 0.0, 0.0, clock(self.device)

    def put(self, value: Tensor) -> None:
        """Take the prompt first, then one chunk of tokens per target pass."""
        if self.settings.streamer is not None:
            self.settings.streamer.put(value.clone())
        if not self.length:
            self.length = value.shape[-1]
            return
        drafts, chunk = tuple(self.drafts.tolist()), tuple(value.reshape(-1).tolist())
        (n_accepted,) = accepted_counts(chunk, [drafts])
        # A chunk that ends inside the drafts has no token of the target's own: the text ended.
        ended = n_accepted == len(chunk)
        kind = kind_after(len(drafts), n_accepted, first=not (self.rounds or drafts))
        seconds = clock(self.device) - self.started
        self.rounds.append(RoundTrace(
            prefix_length=self.length, draft_ids=drafts, n_accepted=n_accepted,
            next_id=None if ended else chunk[n_accepted], next_kind="none" if ended else kind,
            draft_probs=tuple(float(p) for p in self.draft_probs), target_probs=self.target_probs,
            draft_seconds=self.draft_seconds, verify_seconds=self.verify_seconds,
            other_seconds=max(0.0, seconds - self.draft_seconds - self.verify_seconds),
        ))  # fmt: skip
        self.length += len(chunk)
        if self.settings.on_tokens is not None:
            self.settings.on_tokens(chunk)
        self._forget()

    def end(self) -> None:
        """Tell the caller's streamer."""
        if self.settings.streamer is not None:
            self.settings.streamer.end()

    def _starts(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.step_started = clock(self.device)
        if module is self.target:  # its first pass reads the prompt, perhaps with drafts already
            self.drafts = kwargs["input_ids"][0, 1 if self.rounds else self.length :]

    def _target_ends(self, module: Any, args: Any, output: Any) -> None:
        self.verify_seconds = clock(self.device) - self.step_started
        # The library does not look, and would write token 0.
        check_finite(output.logits[0].amax(-1), "target")
        if len(self.drafts):
            logits = output.logits[0, -len(self.drafts) - 1 : -1].float()
            probs = logits.softmax(-1).gather(1, self.drafts[:, None])[:, 0]
            self.target_probs = tuple(probs.tolist())

    def _drafter_ends(self, module: Any, args: Any, output: Any) -> None:
        self.draft_seconds += clock(self.device) - self.step_started
        best = output.logits[0, -1].float().softmax(-1).max()
        check_finite(best, "drafter")
        self.draft_probs.append(best)


def _arguments(pair: ModelPair, settings: Settings) -> dict[str, Any]:
    """Return the arguments of `generate()`, for a target without defaults of its own."""
    names = ("max_new_tokens", "repetition_penalty", "logits_processor")
    arguments = {name: getattr(settings, name) for name in names}
    arguments["do_sample"] = settings.temperature > 0
    if settings.temperature > 0:
        arguments |= {"temperature": float(settings.temperature)}
        arguments |= {"top_k": settings.top_k or 0, "top_p": float(settings.top_p or 1)}
    if settings.stop_strings:
        # An ordinary drafter would be given `stop_strings`, but no tokenizer.
        criterion = StopStringCriteria(pair.tokenizer, settings.stop_strings)
        arguments["stopping_criteria"] = StoppingCriteriaList([criterion])
    return {name: value for name, value in arguments.items() if value is not None}


def view_of(model: Any) -> Any:
    """Return the same model with hooks and settings of its own, which no other thread sees."""
    view = copy.copy(model)
    vars(view).update({k: copy.copy(v) for k, v in vars(model).items() if "_hooks" in k})
    view.generation_config = copy.copy(model.generation_config)
    return view


def plain_view(model: Any) -> Any:
    """Return a view of a model without the checkpoint's defaults (beams, penalties, limits)."""
    view, own = view_of(model), model.generation_config
    ids = {k: getattr(own, k) for k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    view.generation_config = GenerationConfig(**ids)
    return view


def drafter_with(pair: ModelPair, gamma: int | None) -> Any:
    """Return a view of the drafter with the number of drafts where the library reads it."""
    pair.new_drafter()  # raises where there is none
    drafter = plain_view(pair.drafter)
    drafts = pair.default_gamma() if gamma is None else check_gamma(gamma)
    if drafter.dtype != pair.target.dtype:
        drafter = view_of(copy.deepcopy(drafter).to(dtype=pair.target.dtype))
    config = drafter.generation_config
    config.num_assistant_tokens, config.num_assistant_tokens_schedule = drafts, "constant"
    config.assistant_confidence_threshold = 0.0  # else an ordinary drafter stops where it is unsure
    return drafter


def only_numbers(input_ids: Tensor, scores: Tensor) -> Tensor:
    """Return the scores as they are, a logits processor that raises where the best is no number."""
    check_finite(scores.amax(-1), "target")
    return scores


@contextmanager
def drawing(device: torch.device, seed: Any) -> Iterator[None]:
    """Seed the global generators, for code that draws from no others, and put their state back."""
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices, seed is not None, device_type=device.type):
        if seed is not None:
            torch.manual_seed(seed)
        yield
