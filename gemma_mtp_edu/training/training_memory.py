"""How much memory a training needs, from the configurations alone: said before anything is loaded.

It counts what grows without bound: weights, gradients, optimizer states, and the laws over the
vocabulary, which at 262,144 tokens are larger than all else. Activations of the layers come on top.
"""

from dataclasses import dataclass
from typing import Any

from gemma_mtp_edu.lessons.language import columns, tr
from gemma_mtp_edu.training.training_plan import Plan

FLOAT32 = 4
# Weights, gradients, and at most two states of an optimizer (AdamW's; Muon has one).
COPIES = 4
# Per draft step and position: logits, their log-softmax and the gradient of each.
LAWS_PER_STEP = 4


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """Bytes that a training step needs at least, by what they are for.

    Attributes:
        target: The frozen target's weights.
        drafter: The drafter's weights in float32, their gradients and the optimizers' states.
        laws: The target's law at every token of a batch.
        unroll: The drafter's laws at every answer token and draft step, with their gradients.
    """

    target: int
    drafter: int
    laws: int
    unroll: int

    @property
    def total(self) -> int:
        """Their sum."""
        return self.target + self.drafter + self.laws + self.unroll

    def __str__(self) -> str:
        rows = (
            (tr("target's weights"), self.target),
            (tr("drafter, gradients, optimizer"), self.drafter),
            (tr("target's laws"), self.laws),
            (tr("drafter's laws"), self.unroll),
            (tr("together, at least"), self.total),
        )
        widest = max(columns(name) for name, _ in rows)
        return "\n".join(
            f"{name}{' ' * (widest - columns(name))} {size / 1e9:8.2f} GB" for name, size in rows
        )


def training_memory(
    target_bytes: int, drafter: Any, tokens: int, answer_tokens: int, plan: Plan
) -> MemoryNeed:
    """Return what a step on a batch of texts needs.

    Args:
        target_bytes: The target's weights; `registry` has those of the real ones.
        drafter: The drafter, on the meta device too.
        tokens: Tokens of a batch, padding included.
        answer_tokens: Those of them that are answer tokens.
        plan: How it is trained.

    Raises:
        ValueError: A number is out of range.
    """
    if not 0 <= answer_tokens <= tokens or tokens < 1 or target_bytes < 0:
        raise ValueError(
            tr(
                "got {tokens} tokens, {answer_tokens} of them in answers, a target of "
                "{target_bytes} bytes; need 1 token or more, at most as many in answers, 0 "
                "bytes or more",
                tokens=tokens,
                answer_tokens=answer_tokens,
                target_bytes=target_bytes,
            )
        )
    vocab = drafter.config.get_text_config().vocab_size
    parameters = sum(parameter.numel() for parameter in drafter.parameters())
    return MemoryNeed(
        target=target_bytes,
        drafter=COPIES * FLOAT32 * parameters,
        laws=FLOAT32 * tokens * vocab,
        unroll=LAWS_PER_STEP * FLOAT32 * answer_tokens * plan.unroll * vocab,
    )
