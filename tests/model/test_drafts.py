"""What the MTP drafter may propose: tokens that its head searches, and no others."""

from typing import Any

import torch

from gemma_mtp_edu.core.decoding import speculative_generate
from gemma_mtp_edu.core.drafters import Draft, Drafter
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.schedules import Schedule
from tests.model.tiny import Shape, prompt_ids, tiny_pair


class Listening:
    """Another drafter, and the laws that its drafts were drawn from."""

    def __init__(self, drafter: Drafter) -> None:
        self.drafter, self.needs_state = drafter, drafter.needs_state
        self.laws: list[torch.Tensor] = []

    def draft(
        self, ids: Any, state: Any, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        draft = self.drafter.draft(ids, state, gamma, sampler, schedule)
        if draft.probs is not None:
            self.laws += list(draft.probs)
        return draft


def test_sampled_drafts_come_from_the_searched_clusters() -> None:
    """Four of eight clusters of eight tokens: half of the vocabulary has probability 0."""
    pair = tiny_pair(Shape(centroids=8))
    drafter = Listening(pair.new_drafter())
    speculative_generate(
        pair, prompt_ids(6), drafter=drafter, gamma=3, temperature=1.0, seed=1, max_new_tokens=12
    )
    assert len(drafter.laws) > 12
    assert {int((law > 0).sum()) for law in drafter.laws} == {32}
