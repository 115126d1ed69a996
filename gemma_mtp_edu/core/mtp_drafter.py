"""The Gemma 4 MTP drafter: no cache of its own, the target's states instead.

Each step sees the embedding of the newest token beside ONE hidden state, and attends to the
target's keys and values. Its own output state is fed back for the next step. The position stays the
same for all steps, because no key or value of a draft exists.

Source: transformers 5.22.2, `Gemma4AssistantForCausalLM` and
`SinglePositionMultiTokenCandidateGenerator`.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gemma_mtp_edu.core.drafters import Draft, DraftContext, DraftWriter
from gemma_mtp_edu.core.sampling import Choice, Sampler
from gemma_mtp_edu.core.schedules import Schedule
from gemma_mtp_edu.core.target import SharedKV
from gemma_mtp_edu.lessons.language import tr

# The KV that is handed over holds exactly what a step sees here, so there is nothing to mask: of a
# sliding layer one window before the newest token. The library (transformers 5.22.2) builds two
# masks anew for every draft step; by its own, a step sees one token more of a sliding layer.
_NO_MASKS = {"full_attention": None, "sliding_attention": None}
# The score of a token that was not searched: its probability is 0 all the same, but where
# processors forbid all that were, something is left to draft. Minus infinity would leave no law.
_NOT_SEARCHED = -1e30


class MTPDrafter:
    """Drafts with a `Gemma4AssistantForCausalLM`.

    Args:
        model: The drafter model.
        embedding: The TARGET's input embedding, which scales as the target does.
    """

    hands_over = True

    def __init__(self, model: Any, embedding: torch.nn.Module) -> None:
        self.model = model
        self.embedding = embedding
        self.device: torch.device = model.pre_projection.weight.device

    @torch.no_grad()
    def draft(
        self, context: DraftContext, gamma: int, sampler: Sampler, schedule: Schedule
    ) -> Draft:
        """Draft up to `gamma` tokens from the target's newest state."""
        if context.hand_over is None:
            raise ValueError(
                tr("an MTP drafter needs DraftContext.hand_over: what the target knows")
            )
        writer = DraftWriter(context, sampler, schedule)
        newest, hidden = context.ids[:, -1:], context.hand_over.hidden.to(self.device)
        shared_kv_states = {
            kind: (keys.to(self.device), values.to(self.device))
            for kind, (keys, values) in context.hand_over.shared_kv_states.items()
        }
        # Constant for all steps: the position of the newest token.
        position = torch.tensor([[context.ids.shape[1] - 1]], device=self.device)
        for _ in range(gamma):
            states, hidden = self.step(newest, hidden, position, shared_kv_states)
            newest = writer.add(self._choose(states, writer))
            if not writer.goes_on():
                break
        return writer.draft()

    def step(
        self,
        newest: Int[Tensor, "1 1"],
        hidden: Float[Tensor, "1 1 backbone_hidden"],
        position: Int[Tensor, "1 1"],
        shared_kv_states: SharedKV,
    ) -> tuple[Float[Tensor, "1 1 hidden"], Float[Tensor, "1 1 backbone_hidden"]]:
        """Run one draft step.

        Returns:
            The state that the head scores tokens with, and the one that the next step gets.
        """
        embeds = self.embedding(newest).to(hidden)
        states = self.model.model(
            inputs_embeds=self.model.pre_projection(torch.cat([embeds, hidden], dim=-1)),
            attention_mask=_NO_MASKS,
            position_ids=position,
            shared_kv_states=shared_kv_states,
            use_cache=False,
        ).last_hidden_state
        return states, self.model.post_projection(states)

    def searched(
        self, states: Float[Tensor, "1 1 hidden"]
    ) -> tuple[Float[Tensor, " searched"], Int[Tensor, " searched"] | None]:
        """Return the scores of the tokens that are searched, and their ids (None: all tokens).

        With a centroid head only the tokens of the most probable clusters are scored.
        """
        head, weight = self.model.masked_embedding, self.model.lm_head.weight
        if head is None:
            return self.model.lm_head(states)[0, 0], None
        clusters = head.centroids(states)[0, 0].topk(head.centroid_intermediate_top_k).indices
        ids = head.token_ordering.view(head.num_centroids, -1)[clusters].flatten().long()
        return weight[ids] @ states[0, 0], ids

    def _choose(self, states: Float[Tensor, "1 1 hidden"], writer: DraftWriter) -> Choice:
        scores, ids = self.searched(states)
        scores = scores.to(writer.context.ids.device)
        if ids is None:
            return writer.choose(scores[None])
        ids = ids.to(scores.device)
        if writer.sampler.is_greedy and not writer.sampler.processors:
            # The best of the searched tokens: no need to spread them over the whole vocabulary.
            best = scores.float().softmax(-1).max(-1)
            return Choice(ids[best.indices][None, None], best.values)
        vocabulary = torch.full(
            (1, len(self.model.lm_head.weight)), _NOT_SEARCHED,
            dtype=torch.float32, device=scores.device,
        )  # fmt: skip
        vocabulary[0, ids] = scores.float()
        return writer.choose(vocabulary)


def additive_mask(visible: Bool[Tensor, "..."], dtype: torch.dtype) -> Float[Tensor, "..."]:
    """Return a mask to add to attention scores, which sdpa and eager attention both understand.

    Args:
        visible: Which keys each query sees; each sees one at least.
        dtype: Of the scores.
    """
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)


def check_takes_masks(config: Any) -> None:
    """Raise unless a drafter's attention takes such a mask.

    Raises:
        ValueError: It is of another implementation.
    """
    attention = config.get_text_config()._attn_implementation
    if attention not in ("sdpa", "eager"):
        raise ValueError(
            tr(
                "the drafter's attention is {attention!r}, which takes no mask: call "
                "pair.drafter.set_attn_implementation('sdpa')",
                attention=attention,
            )
        )
