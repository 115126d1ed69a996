"""One step of distilling a drafter: what the target hands over, the drafter's unroll, its losses.

The target reads texts once and hands over what it hands over while decoding: hidden states, shared
KV and its next-token law. The drafter is then unrolled from every answer position at once, with the
token, the position and the KV that it would have there.

Losses: Zhou et al. 2023, "DistillSpec", arXiv:2310.08461; Leviathan et al. 2023, arXiv:2211.17192,
corollary 3.6 for the acceptance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax

from gemma_mtp_edu.analysis.profile import additive_mask
from gemma_mtp_edu.core.target import SharedKV
from gemma_mtp_edu.lessons.language import tr

LossName = Literal["cross-entropy", "kl", "reverse-kl", "acceptance"]
LOSS_NAMES: tuple[LossName, ...] = get_args(LossName)
CLUSTER_WEIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Texts:
    """Right-padded token ids `[batch, seq]` and which of them are answer tokens `[batch, seq]`."""

    input_ids: Int[Tensor, "batch seq"]
    is_answer: Bool[Tensor, "batch seq"]


@dataclass(frozen=True, slots=True)
class Handover:
    """What the target knows at the positions that the drafter starts from.

    Attributes:
        rows: `[batch, starts]`, the positions of the newest token.
        is_start: `[batch, starts]`; rows with fewer answer tokens are padded.
        is_answer: `[batch, seq]`.
        embeds: `[batch, seq, hidden]`, the target's embedding of each token.
        hidden: `[batch, seq, hidden]`, its last hidden states.
        probs: `[batch, seq, vocab]`, its law of the next token.
        shared_kv_states: Keys and values `[batch, heads, seq, head_dim]` by attention type.
        window: Tokens that sliding attention reaches back.
    """

    rows: Tensor
    is_start: Tensor
    is_answer: Tensor
    embeds: Tensor
    hidden: Tensor
    probs: Tensor
    shared_kv_states: SharedKV
    window: int


@torch.no_grad()
def hand_over(target: Any, texts: Texts) -> Handover:
    """Run the target once and collect, in float32, what the drafter needs at every answer token."""
    ids = texts.input_ids.to(target.device)
    is_answer = texts.is_answer.to(target.device)
    output = target(
        input_ids=ids, use_cache=False, output_hidden_states=True, return_shared_kv_states=True
    )
    starts = int(is_answer.sum(dim=1).max())
    # Answer positions first, in order; rows with fewer of them are padded and masked.
    rows = is_answer.int().argsort(dim=1, descending=True, stable=True)[:, :starts].clamp(min=1)
    return Handover(
        rows=rows,
        is_start=is_answer.gather(1, rows),
        is_answer=is_answer,
        embeds=target.get_input_embeddings()(ids).float(),
        hidden=output.hidden_states[-1].float(),
        probs=output.logits.float().softmax(dim=-1),
        shared_kv_states={
            kind: (keys.float(), values.float())
            for kind, (keys, values) in output.shared_kv_states.items()
        },
        window=target.config.get_text_config().sliding_window,
    )


def drafter_masks(
    rows: Int[Tensor, "batch starts"], length: int, window: int
) -> dict[str, Float[Tensor, "batch 1 starts seq"]]:
    """Return who sees what: the KV of tokens before the newest one only, and of its window."""
    key = torch.arange(length, device=rows.device)[None, None, None, :]
    newest = rows[:, None, :, None]
    earlier = key < newest
    visible = {"full_attention": earlier, "sliding_attention": earlier & (key >= newest - window)}
    return {kind: additive_mask(seen, torch.float32) for kind, seen in visible.items()}


class Unroll(torch.nn.Module):
    """Draft several steps from every answer position, with the text's own tokens, and judge them.

    A module of its own, so that accelerate can wrap it: all that is trained runs in `forward`.

    Args:
        drafter: A `Gemma4AssistantForCausalLM`, in float32.
        steps: Draft steps.
        loss: One of `LOSS_NAMES`.
    """

    def __init__(self, drafter: Any, steps: int, loss: LossName = "cross-entropy") -> None:
        super().__init__()
        self.drafter, self.steps, self.loss = drafter, steps, LOSSES[loss]

    def forward(self, given: Handover) -> tuple[Tensor, Tensor]:
        """Return the mean loss, and per step the share of drafts that are the target's choice."""
        length = given.embeds.shape[1]
        masks = drafter_masks(given.rows, length, given.window)
        hidden = _take(given.hidden, given.rows - 1)
        losses, agreement = [], []
        for step in range(self.steps):
            newest = (given.rows + step).clamp(max=length - 1)
            states = self.drafter.model(
                inputs_embeds=self.drafter.pre_projection(
                    torch.cat([_take(given.embeds, newest), hidden], dim=-1)
                ),
                attention_mask=masks,
                position_ids=given.rows,  # constant for all steps, as in a run
                shared_kv_states=given.shared_kv_states,
                use_cache=False,
            ).last_hidden_state
            hidden = self.drafter.post_projection(states)
            following = (given.rows + step + 1).clamp(max=length - 1)
            judged = given.is_start & given.is_answer.gather(1, following)
            judged &= given.rows + step + 1 < length
            if not judged.any():
                break
            law = _take(given.probs, newest)[judged]
            logits = self.drafter.lm_head(states[judged])
            losses.append(self._loss(law, logits, states[judged]))
            agreement.append((logits.argmax(-1) == law.argmax(-1)).float().mean())
        if not losses:
            raise ValueError(
                tr(
                    "no text has two answer tokens in a row, so there is nothing to draft: "
                    "give longer texts"
                )
            )
        agreement += [agreement[-1]] * (self.steps - len(agreement))
        return torch.stack(losses).mean(), torch.stack(agreement).detach()

    def _loss(self, law: Tensor, logits: Tensor, states: Tensor) -> Tensor:
        """Return the loss over tokens and, with a centroid head, also over its clusters.

        The head picks clusters by a top-k, which has no gradient of its own.
        """
        loss = self.loss(law, logits).mean()
        head = self.drafter.masked_embedding
        if head is None:
            return loss
        ordering = head.token_ordering.view(head.num_centroids, -1)
        clusters = self.loss(law[:, ordering].sum(dim=-1), head.centroids(states)).mean()
        return loss + CLUSTER_WEIGHT * clusters


def cross_entropy(law: Float[Tensor, "n k"], logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return the cross-entropy of the drafter's law to the target's, in nats."""
    return -(law * log_softmax(logits, dim=-1)).sum(dim=-1)


def kl(law: Float[Tensor, "n k"], logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return KL(target, drafter): the cross-entropy less what no drafter could save."""
    return cross_entropy(law, logits) + torch.xlogy(law, law).sum(dim=-1)


def reverse_kl(law: Float[Tensor, "n k"], logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return KL(drafter, target): it forgives a token that is never drafted."""
    log_q = log_softmax(logits, dim=-1)
    return (log_q.exp() * (log_q - law.clamp(min=1e-9).log())).sum(dim=-1)


def rejection(law: Float[Tensor, "n k"], logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Return 1 - sum min(p, q): how often lossless sampling rejects a draft."""
    return 1.0 - torch.minimum(law, logits.softmax(dim=-1)).sum(dim=-1)


LOSSES: dict[LossName, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": cross_entropy,
    "kl": kl,
    "reverse-kl": reverse_kl,
    "acceptance": rejection,
}


def _take(values: Float[Tensor, "batch seq f"], rows: Int[Tensor, "batch starts"]) -> Tensor:
    """Return `values[b, rows[b, s]]` as `[batch, starts, f]`."""
    index = rows.clamp(min=0)[:, :, None].expand(-1, -1, values.shape[-1])
    return values.gather(1, index)
