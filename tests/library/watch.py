"""Watch what a draft-and-verify loop gives its drafter, and compare it with a clean pass.

The library's loop is watched by hooks on both models, ours by a drafter that looks first. No
`ModelPair` is made for the library's, so releases that we refuse can be watched too.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gemma_mtp_edu import speculative_generate
from gemma_mtp_edu.core.schedules import LastRound, Schedule
from tests.library.cycle import CyclePair


@dataclass(frozen=True, slots=True, eq=False)
class SeenRound:
    """What the drafter got in one round, and how many tokens it drafted."""

    length: int  # with the newest token, which no model has passed yet
    n_drafted: int
    hidden: Tensor
    shared_kv: dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A run: prompt and text, and the rounds with drafts."""

    ids: Tensor
    prompt_length: int
    rounds: tuple[SeenRound, ...]

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(self.ids[0, self.prompt_length :].tolist())

    @property
    def draft_lengths(self) -> list[int]:
        return [seen.n_drafted for seen in self.rounds]

    @property
    def accepted(self) -> list[int]:
        ends = [*(seen.length for seen in self.rounds[1:]), self.ids.shape[1]]
        return [end - seen.length - 1 for seen, end in zip(self.rounds, ends, strict=True)]

    def wanted_lengths(self, schedule: Schedule) -> list[int]:
        """Return how many tokens each round would have drafted if it had asked the schedule."""
        wanted: list[int] = []
        last: LastRound | None = None
        for seen, accepted in zip(self.rounds, self.accepted, strict=True):
            gamma = schedule.gamma(seen.length - self.prompt_length, last)
            wanted.append(min(gamma, self.ids.shape[1] - seen.length - 1))
            last = LastRound(gamma, seen.n_drafted, accepted)
        return wanted

    def wrong_states(self, target: Any) -> int:
        """Return in how many rounds the state was not the one that predicted the newest token."""
        clean = _clean_pass(target, self.ids).last_hidden_state[0]
        return sum(not _same(seen.hidden, clean[seen.length - 2]) for seen in self.rounds)

    def stale_rounds(self, target: Any) -> int:
        """Return in how many rounds the newest keys were those of a rejected token."""
        clean = _clean_pass(target, self.ids).shared_kv_states
        return sum(
            any(
                not _same(keys[0, :, -1], clean[kind][0][0, :, seen.length - 2])
                for kind, (keys, _) in seen.shared_kv.items()
            )
            for seen in self.rounds
        )


@torch.no_grad()
def _clean_pass(target: Any, ids: Tensor) -> Any:
    return target.model(ids, use_cache=False, return_shared_kv_states=True)


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(torch.allclose(one.float(), other.float(), atol=1e-4))


def watch_library(models: CyclePair, ids: Tensor, **arguments: Any) -> Watched:
    """Run the library's assisted `generate()` on a pair."""
    steps: list[list[dict[str, Any]]] = [[]]
    with ExitStack() as hooks:
        for model, note in (
            (models.target, lambda module, args, kwargs: steps.append([])),
            (models.drafter, lambda module, args, kwargs: steps[-1].append(kwargs)),
        ):
            hook = model.register_forward_pre_hook(note, with_kwargs=True)
            hooks.callback(hook.remove)
        mask = torch.ones_like(ids)
        output = models.target.generate(
            ids, attention_mask=mask, assistant_model=models.drafter, **arguments
        )
    width = models.target.get_input_embeddings().weight.shape[1]
    rounds = tuple(
        # The drafter reads the newest token's embedding beside the state.
        SeenRound(
            int(first["position_ids"]) + 1,
            len(seen),
            first["inputs_embeds"][0, 0, width:],
            dict(first["shared_kv_states"]),
        )
        for seen in steps
        for first in seen[:1]
    )
    return Watched(output, ids.shape[1], rounds)


def watch_ours(models: CyclePair, ids: Tensor, schedule: Schedule, max_new_tokens: int) -> Watched:
    """Run our loop."""
    pair = models.pair()
    looker = _Looker(pair.new_drafter())
    settings = {"schedule": schedule, "max_new_tokens": max_new_tokens}
    trace = speculative_generate(pair, ids, drafter=looker, **settings)
    text = torch.cat([ids, torch.tensor([trace.token_ids])], dim=1)
    return Watched(text, ids.shape[1], tuple(looker.rounds))


class _Looker:
    """A drafter that writes down what it gets, and lets another one draft."""

    needs_state = True

    def __init__(self, drafter: Any) -> None:
        self.drafter = drafter
        self.rounds: list[SeenRound] = []

    def draft(self, ids: Tensor, state: Any, gamma: int, sampler: Any, schedule: Any) -> Any:
        draft = self.drafter.draft(ids, state, gamma, sampler, schedule)
        if n_drafted := draft.ids.shape[1]:
            seen = SeenRound(ids.shape[1], n_drafted, state.hidden[0, 0], state.shared_kv)
            self.rounds.append(seen)
        return draft
