"""Who proposes tokens. To add a drafter, subclass `Drafter` and write `next_logits` or `draft`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gemma_mtp_edu.core.sampling import Ids, Sampler
from gemma_mtp_edu.core.schedules import Schedule, check_gamma
from gemma_mtp_edu.core.target import ALL_ROWS, CachedModel, SharedKV, TargetState

# A state's KV holds exactly what a step sees, one window before the newest token of a sliding
# layer, so there is nothing to mask. By the library's masks a step sees one token more there.
_NO_MASKS = {"full_attention": None, "sliding_attention": None}
# The score of a token that is no candidate of the centroid head. Not minus infinity: where
# processors forbid all candidates, something must be left to draft.
_NO_CANDIDATE = -1e30


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """What a drafter proposes for one round: `gamma` drafts or fewer."""

    ids: Int[Tensor, "1 gamma"]
    own_probs: Float[Tensor, " gamma"]  # the drafter's probability of each
    # What each was drawn from: the accept rule is exact for no other distribution. None for drafts
    # that were not drawn.
    probs: Float[Tensor, "gamma vocab"] | None = None


class Drafter:
    """Proposes tokens, round by round. One object serves one generation."""

    needs_state = False
    """Whether `start` reads the target's state."""
    positions = 10**9  # tokens of a text that it can read; nothing is drafted past them

    def draft(
        self, ids: Ids, state: TargetState | None, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Choose up to `gamma` tokens after `ids`; the schedule may end the round before."""
        text, own, drawn = ids, [], []
        self.start(ids, state)
        for _ in range(min(gamma, self.positions + 1 - ids.shape[1])):
            token, prob, probs = sampler.choose(self.next_logits(text), text)
            text = torch.cat([text, token], dim=1)
            own.append(prob)
            drawn += [] if probs is None else [probs]
            if schedule.watches_probs and not schedule.keeps_drafting(float(prob)):
                break
        own_probs = torch.stack(own) if own else torch.zeros(0, device=ids.device)
        return Draft(text[:, ids.shape[1] :], own_probs, torch.stack(drawn) if drawn else None)

    def start(self, ids: Ids, state: TargetState | None) -> None:
        """Get ready for a round."""

    def next_logits(self, text: Ids) -> Float[Tensor, "1 vocab"]:
        """Return the scores of the token after the text and the drafts so far."""
        raise NotImplementedError


class MTPDrafter(Drafter):
    """The Gemma 4 drafter, `Gemma4AssistantForCausalLM`: it has no cache of its own.

    Each step sees the TARGET's embedding of the newest token beside ONE hidden state, and attends
    to the target's keys and values; its own output state is fed back for the next step.

    Source: transformers 5.22.2, `SinglePositionMultiTokenCandidateGenerator`.
    """

    needs_state = True

    def __init__(self, model: Any, embedding: torch.nn.Module) -> None:
        if not hasattr(model, "pre_projection"):
            raise ValueError(f"got a {type(model).__name__} as drafter, need a Gemma 4 MTP drafter")
        self.model, self.embedding, self.dtype = model, embedding, model.dtype
        self.device: torch.device = model.pre_projection.weight.device

    def start(self, ids: Ids, state: TargetState | None) -> None:
        """Take over the target's newest state."""
        assert state is not None
        place = self.device, self.dtype  # those of the target may be others
        self.hidden, given = state.hidden.to(*place), state.shared_kv.items()
        self.shared_kv = {kind: (k.to(*place), v.to(*place)) for kind, (k, v) in given}
        # The newest token's position, for all steps: no key or value of a draft exists.
        self.position = torch.tensor([[ids.shape[1] - 1]], device=self.device)

    def next_logits(self, text: Ids) -> Float[Tensor, "1 vocab"]:
        """Run one step."""
        states, self.hidden = self.step(text[:, -1:], self.hidden, self.position, self.shared_kv)
        scores, candidates = self.score(states[0])
        if candidates is not None:
            spread = scores.new_full((1, len(self.model.lm_head.weight)), _NO_CANDIDATE).float()
            scores = spread.scatter(1, candidates, scores.float())
        return scores.to(text.device)

    def step(
        self,
        newest: Int[Tensor, "batch n"],
        hidden: Float[Tensor, "batch n backbone_hidden"],
        position: Int[Tensor, "batch n"],
        shared_kv: SharedKV,
        masks: dict[str, Any] = _NO_MASKS,
    ) -> tuple[Float[Tensor, "batch n hidden"], Float[Tensor, "batch n backbone_hidden"]]:
        """Run one draft step, from one position of a text or from many, of several texts.

        Returns the state that the head scores tokens with, and the one that the next step gets.
        """
        embeds = self.embedding(newest).to(hidden)
        states = self.model.model(
            inputs_embeds=self.model.pre_projection(torch.cat([embeds, hidden], dim=-1)),
            attention_mask=masks, position_ids=position, shared_kv_states=shared_kv,
            use_cache=False, logits_to_keep=ALL_ROWS,
        ).last_hidden_state  # fmt: skip
        return states, self.model.post_projection(states)

    def score(
        self, states: Float[Tensor, "n hidden"]
    ) -> tuple[Float[Tensor, "n candidates"], Int[Tensor, "n candidates"] | None]:
        """Return the scores of the candidate tokens, and their ids (None: all tokens).

        With a centroid head only the tokens of the most probable clusters are candidates.
        """
        head, weight = self.model.masked_embedding, self.model.lm_head.weight
        if head is None:
            return self.model.lm_head(states), None
        clusters = head.centroids(states).topk(head.centroid_intermediate_top_k).indices
        ids = head.token_ordering.view(head.num_centroids, -1)[clusters].flatten(1).long()
        return (weight[ids] @ states[:, :, None])[:, :, 0], ids


class CausalLMDrafter(Drafter):
    """An ordinary, smaller causal language model with a cache of its own (arXiv:2211.17192)."""

    def __init__(self, model: Any) -> None:
        self.reader = CachedModel(model)
        self.positions = getattr(model.config, "max_position_embeddings", self.positions)
        self.passed: list[int] = []

    def start(self, ids: Ids, state: TargetState | None) -> None:
        """Forget drafts that did not enter the text."""
        text = ids[0].tolist()
        shorter = min(len(self.passed), len(text) - 1)
        same = next((i for i in range(shorter) if self.passed[i] != text[i]), shorter)
        if self.passed:
            self.reader.crop(len(self.passed) - same)
        self.passed = self.passed[:same]

    def next_logits(self, text: Ids) -> Float[Tensor, "1 vocab"]:
        """Read what is new in the text."""
        unread = text[:, len(self.passed) :]
        read = self.reader.verify if self.passed else self.reader.prefill
        self.passed += unread[0].tolist()
        return read(unread).logits[-1:]


class PromptLookupDrafter(Drafter):
    """Drafts what followed the last few tokens where they stood before; the latest match counts.

    Source: Saxena 2023, prompt lookup decoding.
    """

    def __init__(self, max_ngram: int = 3) -> None:
        self.max_ngram = check_gamma(max_ngram, name="max_ngram", of="tokens")

    def draft(self, ids: Any, state: Any, gamma: int, sampler: Any, schedule: Any) -> Draft:
        """Copy from the text; nothing is drafted where nothing is found."""
        return fixed_draft(lookup(ids[0].tolist(), self.max_ngram, gamma), ids.device)


def lookup(ids: Sequence[int], max_ngram: int, gamma: int) -> list[int]:
    """Return the up to `gamma` tokens that followed the latest earlier match of the text's end.

    >>> lookup([1, 2, 3, 9, 1, 2], max_ngram=3, gamma=2)
    [3, 9]
    """
    for size in range(min(max_ngram, len(ids) - 1), 0, -1):
        end = list(ids[-size:])
        for start in range(len(ids) - size - 1, -1, -1):
            # The last token first: comparing pieces at every position takes long in long texts.
            if ids[start + size - 1] == end[-1] and list(ids[start : start + size]) == end:
                return list(ids[start + size : start + size + gamma])
    return []


class ScriptedDrafter(Drafter):
    """Drafts what a script says, round by round; for tests and lessons."""

    def __init__(self, rounds: Sequence[Sequence[int]]) -> None:
        self.left = [list(tokens) for tokens in rounds]

    def draft(self, ids: Any, state: Any, gamma: int, sampler: Any, schedule: Any) -> Draft:
        """Return the next entry of the script, cut to `gamma`."""
        return fixed_draft(self.left.pop(0)[:gamma] if self.left else [], ids.device)


def fixed_draft(tokens: Sequence[int], device: torch.device) -> Draft:
    """Return drafts that were not drawn: their distribution has all its mass on them."""
    ids = torch.tensor([list(tokens)], dtype=torch.long, device=device)
    return Draft(ids, torch.ones(len(tokens), device=device))
