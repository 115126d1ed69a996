"""Watch what a draft-and-verify loop gives its drafter, and compare it with a clean pass.

For the library's loop by hooks on both models, for ours by a drafter that looks first. Neither is
changed. No pair is built for the library's loop, so releases that we refuse can be watched too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemma_mtp_edu.core.schedules import LastRound, Schedule
from gemma_mtp_edu.cycle_pair import CyclePair

_CLOSE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class SeenRound:
    """What the drafter got in one round, and what became of its drafts.

    Attributes:
        length: Tokens of the text, the newest one included, which no model has passed yet.
        n_drafted: Tokens that were drafted.
        hidden: The target's state that the first draft was made from.
        shared_kv_states: Per attention type the keys and values that the drafter could see.
    """

    length: int
    n_drafted: int
    hidden: Float[Tensor, " hidden"]
    shared_kv_states: dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A run.

    Attributes:
        ids: Prompt and text.
        prompt_length: Tokens of the prompt.
        rounds: Rounds with drafts.
    """

    ids: Int[Tensor, "1 seq"]
    prompt_length: int
    rounds: tuple[SeenRound, ...]

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The text."""
        return tuple(self.ids[0, self.prompt_length :].tolist())

    @property
    def draft_lengths(self) -> list[int]:
        """Tokens drafted in each round."""
        return [seen.n_drafted for seen in self.rounds]

    def wanted_lengths(self, schedule: Schedule) -> list[int]:
        """Return how many tokens each round would have drafted if it had asked the schedule."""
        wanted: list[int] = []
        last: LastRound | None = None
        ends = [*(seen.length for seen in self.rounds[1:]), self.ids.shape[1]]
        for seen, end in zip(self.rounds, ends, strict=True):
            gamma = schedule.gamma(seen.length - self.prompt_length, last)
            wanted.append(min(gamma, self.ids.shape[1] - seen.length - 1))
            last = LastRound(gamma, seen.n_drafted, end - seen.length - 1)
        return wanted

    def wrong_states(self, target: Any) -> int:
        """Return in how many rounds the state was not the one that predicted the newest token."""
        clean = _clean_pass(target, self.ids).last_hidden_state[0]
        return sum(not _same(seen.hidden, clean[seen.length - 2]) for seen in self.rounds)

    def stale_rounds(self, target: Any) -> int:
        """Return in how many rounds the newest keys seen were not those of the last passed token.

        Then they belong to a token that was rejected.
        """
        clean = _clean_pass(target, self.ids).shared_kv_states
        return sum(
            any(
                not _same(keys[0, :, -1], clean[kind][0][0, :, seen.length - 2])
                for kind, (keys, _) in seen.shared_kv_states.items()
            )
            for seen in self.rounds
        )


def watch_library(models: CyclePair, ids: Int[Tensor, "1 seq"], **arguments: Any) -> Watched:
    """Run the library's assisted `generate()` on a pair, and watch it through hooks."""
    hooks = _Hooks(models.target)
    with hooks.attached(models):
        output = models.target.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            assistant_model=models.drafter,
            **arguments,
        )
    return Watched(output, ids.shape[1], tuple(map(hooks.seen, filter(None, hooks.steps))))


def watch_ours(
    models: CyclePair, ids: Int[Tensor, "1 seq"], schedule: Schedule, max_new_tokens: int
) -> Watched:
    """Run our loop, and watch what it hands to the drafter.

    Raises:
        UnsupportedReleaseError: The installed transformers release is refused.
    """
    from gemma_mtp_edu.core.decoding import speculative_generate
    from gemma_mtp_edu.models.pairs import ModelPair

    pair = ModelPair(models.target, models.drafter, name="cycle")
    looker: Any = _Looker(pair.new_drafter())
    trace = speculative_generate(
        pair, ids, drafter=looker, schedule=schedule, max_new_tokens=max_new_tokens
    )
    text = torch.cat([ids, torch.tensor([trace.token_ids])], dim=1)
    return Watched(text, ids.shape[1], tuple(looker.rounds))


class _Looker:
    """A drafter that writes down what it gets, and lets another one draft."""

    needs_state = True

    def __init__(self, drafter: Any) -> None:
        self.drafter = drafter
        self.rounds: list[SeenRound] = []

    def draft(self, ids: Any, state: Any, gamma: int, sampler: Any, schedule: Any) -> Any:
        """Draft as the other drafter does."""
        draft = self.drafter.draft(ids, state, gamma, sampler, schedule)
        if draft.ids.shape[1]:
            self.rounds.append(
                SeenRound(ids.shape[1], draft.ids.shape[1], state.hidden[0, 0], state.shared_kv)
            )
        return draft


class _Hooks:
    """Writes down the drafter's steps between one pass of the target and the next."""

    def __init__(self, target: Any) -> None:
        self.steps: list[list[dict[str, Any]]] = [[]]
        self.width: int = target.get_input_embeddings().weight.shape[1]

    @contextmanager
    def attached(self, models: CyclePair) -> Iterator[None]:
        """Listen to both models."""
        handles = [
            models.target.register_forward_pre_hook(self._target, with_kwargs=True),
            models.drafter.register_forward_pre_hook(self._drafter, with_kwargs=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def seen(self, steps: list[dict[str, Any]]) -> SeenRound:
        """Return what the drafter got, from the arguments of its steps in a round."""
        first = steps[0]
        # The drafter reads the newest token's embedding beside the state.
        hidden = first["inputs_embeds"][0, 0, self.width :]
        return SeenRound(
            int(first["position_ids"]) + 1, len(steps), hidden, dict(first["shared_kv_states"])
        )

    def _target(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.steps.append([])

    def _drafter(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.steps[-1].append(kwargs)


@torch.no_grad()
def _clean_pass(target: Any, ids: Int[Tensor, "1 seq"]) -> Any:
    return target.model(ids, use_cache=False, return_shared_kv_states=True)


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one.float(), other.float(), atol=_CLOSE))
