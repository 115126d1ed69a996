"""One step of distilling a drafter: what the target gives, the unroll, the losses, the optimizers.

The losses are DistillSpec's, arXiv:2310.08461, and Leviathan et al.'s, 2211.17192, corollary 3.6.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gemma_mtp_edu.analysis.profile import drafter_masks
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.target import SharedKV

Rows = Float[Tensor, "n vocab"]


class Texts(NamedTuple):
    """Right-padded token ids `[batch, seq]` and which of them are answer tokens `[batch, seq]`."""

    input_ids: Int[Tensor, "batch seq"]
    is_answer: Bool[Tensor, "batch seq"]


class DistillationBatch(NamedTuple):
    """Texts with all that the target gives a drafter to learn from, in float32."""

    texts: Texts
    newest: Int[Tensor, "batch starts"]  # where the newest token stands, for each start of a draft
    is_start: Bool[Tensor, "batch starts"]  # rows with fewer answer tokens are padded
    hidden: Float[Tensor, "batch seq hidden"]  # the target's last hidden states
    probs: Float[Tensor, "batch seq vocab"]  # its distribution of the next token
    shared_kv: SharedKV
    masks: dict[str, Tensor]  # what each start sees of it, `[batch, 1, starts, seq]` by type


@torch.no_grad()
def distillation_batch(target: Any, texts: Texts) -> DistillationBatch:
    """Run the target once and collect what a drafter needs at every answer token."""
    ids, is_answer = texts.input_ids.to(target.device), texts.is_answer.to(target.device)
    output = target(ids, use_cache=False, output_hidden_states=True, return_shared_kv_states=True)
    hidden, probs = output.hidden_states[-1].float(), output.logits.float().softmax(dim=-1)
    kv = {kind: (k.float(), v.float()) for kind, (k, v) in output.shared_kv_states.items()}
    starts = int(is_answer.sum(dim=1).max())
    # Answer positions first, in order; rows with fewer of them are padded.
    newest = is_answer.int().argsort(dim=1, descending=True, stable=True)[:, :starts].clamp(min=1)
    texts, is_start = Texts(ids, is_answer), is_answer.gather(1, newest)
    window = target.config.get_text_config().sliding_window
    masks = drafter_masks(newest, ids.shape[1], window, torch.float32)
    return DistillationBatch(texts, newest, is_start, hidden, probs, kv, masks)


class Unroll(torch.nn.Module):
    """Draft `steps` times from every answer position, each time after the text's own tokens.

    A module, so that accelerate can wrap it. The embedding is the frozen target's.
    """

    def __init__(self, drafter: Any, embedding: Any, steps: int, loss: str) -> None:
        super().__init__()
        self.drafter, self.steps, self.loss = drafter, steps, LOSSES[loss]
        self.mtp = MTPDrafter(drafter, embedding)

    def forward(self, given: DistillationBatch) -> tuple[Tensor, Tensor]:
        """Return the mean loss, and per step the share of drafts that are the target's choice."""
        (ids, is_answer), newest, head = given.texts, given.newest, self.drafter.masked_embedding
        last = ids.shape[1] - 1
        # The state that predicted the newest token stands one before it.
        hidden = given.hidden.take_along_dim((newest - 1)[:, :, None], 1)
        losses, agreement = [], []
        for step in range(self.steps):
            # Teacher forcing: the drafts before this one are taken to be right.
            at = (newest + step).clamp(max=last)
            # `newest` stays: the position is constant for all steps, as in a run.
            tokens, sees = ids.gather(1, at), (given.shared_kv, given.masks)
            states, hidden = self.mtp.step(tokens, hidden, newest, *sees)
            following = newest + step + 1
            counts = given.is_start & is_answer.gather(1, following.clamp(max=last))
            counts &= following <= last
            if not counts.any():
                break
            states, probs = states[counts], given.probs.take_along_dim(at[:, :, None], 1)[counts]
            logits = self.drafter.lm_head(states)
            loss = self.loss(probs, logits).mean()
            if head is not None:  # over all tokens and over clusters: a top-k has no gradient
                ordering = head.token_ordering.view(head.num_centroids, -1)
                clusters = self.loss(probs[:, ordering].sum(dim=-1), head.centroids(states)).mean()
                loss = loss + 0.5 * clusters
            losses.append(loss)
            agreement.append((logits.argmax(-1) == probs.argmax(-1)).float().mean())
        if not losses:
            raise ValueError("no answer has two tokens, so there is no draft: give longer texts")
        agreement += [agreement[-1]] * (self.steps - len(agreement))
        return torch.stack(losses).mean(), torch.stack(agreement).detach()


# Of p, the target's distribution, and z, the drafter's logits, in nats; q is softmax(z).
LOSSES: dict[str, Callable[[Rows, Rows], Tensor]] = {
    "cross-entropy": lambda p, z: -(p * z.log_softmax(-1)).sum(-1),
    # KL(p, q): the cross-entropy less what no drafter could save.
    "kl": lambda p, z: -(p * z.log_softmax(-1)).sum(-1) + torch.xlogy(p, p).sum(-1),
    # KL(q, p): it forgives a token that is never drafted.
    "reverse-kl": lambda p, z: z.softmax(-1).mul(z.log_softmax(-1) - p.clamp(1e-9).log()).sum(-1),
    # 1 - sum min(p, q): how often lossless sampling rejects a draft.
    "acceptance": lambda p, z: 1.0 - torch.minimum(p, z.softmax(-1)).sum(-1),
}


def muon_and_adamw(model: torch.nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the layers' matrices and AdamW for embeddings, heads and norms."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if ".layers." in name and p.ndim == 2]
    others = [p for name, p in named if not (".layers." in name and p.ndim == 2)]
    adamw = torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, foreach=True)
    return [Muon(matrices, {"lr": lr, "momentum": 0.95}), adamw]


class Muon(torch.optim.Optimizer):
    """Momentum, replaced by its nearest orthogonal matrix and scaled to AdamW's step size.

    Jordan et al. 2024. `torch.optim.Muon` takes matrices one by one and in bfloat16, on a CPU
    without bfloat16 arithmetic 25 times slower; torch 2.8 lacks it.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update every matrix that has a gradient, those of one shape at once."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for p in (p for p in group["params"] if p.grad is not None):
                mean = self.state[p].setdefault("momentum", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["momentum"])
                by_shape[p.shape].append((p, torch.lerp(p.grad, mean, group["momentum"])))
            for shape, entries in by_shape.items():
                # 0.2 sqrt(max side): the root mean square that AdamW's updates have.
                scale = 0.2 * max(shape) ** 0.5 * group["lr"]
                updates = orthogonalize(torch.stack([nesterov for _, nesterov in entries]))
                for (parameter, _), update in zip(entries, updates, strict=True):
                    parameter.sub_(update, alpha=scale)


def orthogonalize(matrices: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n rows columns"]:
    """Return the nearest semi-orthogonal matrices, by five steps of Newton-Schulz."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x
