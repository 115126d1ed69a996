"""One step of distilling a drafter: what the target gives, the unroll, the losses, the optimizers.

The target reads texts once; that gives what a drafter would get of it while decoding, and its
distribution of every next token. Then the drafter drafts from all answer positions at once, each
with the token, the position and the KV that it would have there.

Losses: Zhou et al. 2023, "DistillSpec", arXiv:2310.08461; Leviathan et al. 2023, arXiv:2211.17192,
corollary 3.6 for the acceptance.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import log_softmax

from gemma_mtp_edu.analysis.profile import drafter_masks
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.target import SharedKV

CLUSTER_WEIGHT = 0.5
Rows = Float[Tensor, "n vocab"]


@dataclass(frozen=True, slots=True)
class Texts:
    """Right-padded token ids `[batch, seq]` and which of them are answer tokens `[batch, seq]`."""

    input_ids: Int[Tensor, "batch seq"]
    is_answer: Bool[Tensor, "batch seq"]


@dataclass(frozen=True, slots=True)
class DistillationBatch:
    """Texts with all that the target gives a drafter to learn from.

    Attributes:
        texts: On the target's device.
        newest: `[batch, starts]`, where the newest token stands, for each start of a draft.
        is_start: `[batch, starts]`; rows with fewer answer tokens are padded.
        hidden: `[batch, seq, hidden]`, the target's last hidden states.
        probs: `[batch, seq, vocab]`, its distribution of the next token.
        shared_kv: Keys and values `[batch, heads, seq, head_dim]` by attention type.
        masks: Which of them each start sees, `[batch, 1, starts, seq]`, by attention type.
    """

    texts: Texts
    newest: Int[Tensor, "batch starts"]
    is_start: Bool[Tensor, "batch starts"]
    hidden: Float[Tensor, "batch seq hidden"]
    probs: Float[Tensor, "batch seq vocab"]
    shared_kv: SharedKV
    masks: dict[str, Tensor]


@torch.no_grad()
def distillation_batch(target: Any, texts: Texts) -> DistillationBatch:
    """Run the target once and collect, in float32, what a drafter needs at every answer token."""
    ids, is_answer = texts.input_ids.to(target.device), texts.is_answer.to(target.device)
    output = target(
        input_ids=ids, use_cache=False, output_hidden_states=True, return_shared_kv_states=True
    )
    starts = int(is_answer.sum(dim=1).max())
    # Answer positions first, in order; rows with fewer of them are padded.
    newest = is_answer.int().argsort(dim=1, descending=True, stable=True)[:, :starts].clamp(min=1)
    window = target.config.get_text_config().sliding_window
    return DistillationBatch(
        texts=Texts(ids, is_answer),
        newest=newest,
        is_start=is_answer.gather(1, newest),
        hidden=output.hidden_states[-1].float(),
        probs=output.logits.float().softmax(dim=-1),
        shared_kv={
            kind: (keys.float(), values.float())
            for kind, (keys, values) in output.shared_kv_states.items()
        },
        masks=drafter_masks(newest, ids.shape[1], window, torch.float32),
    )


class Unroll(torch.nn.Module):
    """Draft several steps from every answer position, each after the text's own tokens.

    A module of its own, so that accelerate can wrap it: all that is trained runs in `forward`.

    Args:
        drafter: A `Gemma4AssistantForCausalLM`, in float32.
        embedding: The target's input embedding, frozen.
        steps: Draft steps.
        loss: A name of `LOSSES`.
    """

    def __init__(
        self, drafter: Any, embedding: Any, steps: int, loss: str = "cross-entropy"
    ) -> None:
        super().__init__()
        self.drafter, self.steps, self.loss = drafter, steps, LOSSES[loss]
        self.mtp = MTPDrafter(drafter, embedding)

    def forward(self, given: DistillationBatch) -> tuple[Tensor, Tensor]:
        """Return the mean loss, and per step the share of drafts that are the target's choice."""
        ids, is_answer, newest = given.texts.input_ids, given.texts.is_answer, given.newest
        last = ids.shape[1] - 1
        # The state that predicted the newest token stands one before it.
        hidden = _take(given.hidden, newest - 1)
        losses, agreement = [], []
        for step in range(self.steps):
            # Teacher forcing: the drafts before this one are taken to be right.
            at = (newest + step).clamp(max=last)
            states, hidden = self.mtp.step(
                ids.gather(1, at),
                hidden,
                newest,  # the position, constant for all steps as in a run
                given.shared_kv,
                given.masks,
            )
            following = newest + step + 1
            counts = given.is_start & is_answer.gather(1, following.clamp(max=last))
            counts &= following <= last
            if not counts.any():
                break
            probs, logits = _take(given.probs, at)[counts], self.drafter.lm_head(states[counts])
            losses.append(self._loss(probs, logits, states[counts]))
            agreement.append((logits.argmax(-1) == probs.argmax(-1)).float().mean())
        if not losses:
            raise ValueError("no answer has two tokens, so there is no draft: give longer texts")
        agreement += [agreement[-1]] * (self.steps - len(agreement))
        return torch.stack(losses).mean(), torch.stack(agreement).detach()

    def _loss(self, probs: Tensor, logits: Tensor, states: Tensor) -> Tensor:
        """Return the loss over all tokens and, with a centroid head, also over its clusters.

        Over all, not over the candidates alone that a run scores: the head picks their clusters by
        a top-k, which has no gradient of its own.
        """
        loss = self.loss(probs, logits).mean()
        head = self.drafter.masked_embedding
        if head is None:
            return loss
        ordering = head.token_ordering.view(head.num_centroids, -1)
        clusters = self.loss(probs[:, ordering].sum(dim=-1), head.centroids(states)).mean()
        return loss + CLUSTER_WEIGHT * clusters


def cross_entropy(probs: Rows, logits: Rows) -> Tensor:
    """Return the cross-entropy of the drafter's distribution to the target's, in nats."""
    return -(probs * log_softmax(logits, dim=-1)).sum(dim=-1)


def kl(probs: Rows, logits: Rows) -> Tensor:
    """Return KL(target, drafter): the cross-entropy less what no drafter could save."""
    return cross_entropy(probs, logits) + torch.xlogy(probs, probs).sum(dim=-1)


def reverse_kl(probs: Rows, logits: Rows) -> Tensor:
    """Return KL(drafter, target): it forgives a token that is never drafted."""
    log_q = log_softmax(logits, dim=-1)
    return (log_q.exp() * (log_q - probs.clamp(min=1e-9).log())).sum(dim=-1)


def rejection(probs: Rows, logits: Rows) -> Tensor:
    """Return 1 - sum min(p, q): how often lossless sampling rejects a draft."""
    return 1.0 - torch.minimum(probs, logits.softmax(dim=-1)).sum(dim=-1)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": cross_entropy,
    "kl": kl,
    "reverse-kl": reverse_kl,
    "acceptance": rejection,
}


def _take(
    values: Float[Tensor, "batch seq f"], at: Int[Tensor, "batch starts"]
) -> Float[Tensor, "batch starts f"]:
    """Return `values[b, at[b, s]]`."""
    return values.gather(1, at[:, :, None].expand(-1, -1, values.shape[-1]))


def muon_and_adamw(model: torch.nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the layers' matrices and AdamW for embeddings, heads and norms."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if ".layers." in name and parameter.ndim == 2 else others).append(parameter)
    adamw = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, foreach=True)
    return [Muon(matrices, lr), adamw]


class Muon(torch.optim.Optimizer):
    """Momentum, replaced by its nearest orthogonal matrix and scaled to AdamW's step size.

    `torch.optim.Muon` takes the matrices one by one and in bfloat16, which a CPU without bfloat16
    arithmetic runs 25 times slower than this (1.6 s against 0.06 s a step for ten layers of width
    128), and torch 2.8 has none.

    Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update every matrix that has a gradient; a closure is not called."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                nesterov = [self._nesterov(p, group["momentum"]) for p in parameters]
                # 0.2 sqrt(max side): the root mean square that AdamW's updates have.
                scale = 0.2 * max(shape) ** 0.5 * group["lr"]
                for parameter, update in zip(
                    parameters, orthogonalize(torch.stack(nesterov)), strict=True
                ):
                    parameter.sub_(update, alpha=scale)

    def _nesterov(self, parameter: Tensor, momentum: float) -> Tensor:
        state, grad = self.state[parameter], parameter.grad
        assert grad is not None
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(grad, 1 - momentum)
        return torch.lerp(grad, state["momentum"], momentum)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Return the nearest semi-orthogonal matrices of `[n, rows, columns]`, by Newton-Schulz."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x
