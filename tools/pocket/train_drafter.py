"""Distil the bundled drafter from the frozen target.

The target reads a batch once and hands over what it hands over while decoding: hidden states,
shared KV and its next-token law. The drafter is then unrolled from every answer position at once,
with the token, the position and the KV that it would have there.
"""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch.nn.functional import log_softmax
from transformers import Gemma4AssistantForCausalLM, Gemma4ForCausalLM, PreTrainedTokenizerFast

from tools.pocket import loop
from tools.pocket.corpus import EXACT_SHARES, IGNORED, Batch, batches
from tools.pocket.drafter import new_drafter
from tools.pocket.loop import Phase


@dataclass(frozen=True, slots=True)
class Recipe(Phase):
    """A phase in which the drafter is unrolled so many steps."""

    unroll: int = 6


DISTIL = Recipe("drafter", 600, 3072, 3e-3, 50, 260, data_seed=3)
POLISH = Recipe("drafter-polish", 150, 3072, 1.5e-3, 20, 20, data_seed=5, shares=EXACT_SHARES)


@dataclass(frozen=True, slots=True)
class Handover:
    """What the target knows at the positions the drafter starts from.

    `rows` `[batch, starts]` are the positions of the newest token; `probs` `[batch, seq, vocab]` is
    the target's law after each position; `hidden` `[batch, seq, hidden]`.
    """

    input_ids: torch.Tensor
    rows: torch.Tensor
    is_start: torch.Tensor
    is_answer: torch.Tensor
    hidden: torch.Tensor
    probs: torch.Tensor
    shared_kv_states: dict[str, tuple[torch.Tensor, torch.Tensor]]


@torch.no_grad()
def hand_over(target: Gemma4ForCausalLM, batch: Batch) -> Handover:
    """Run the target once and collect what the drafter needs at every answer token."""
    output = target(
        input_ids=batch.input_ids,
        use_cache=False,
        output_hidden_states=True,
        return_shared_kv_states=True,
    )
    is_answer = batch.labels != IGNORED
    starts = int(is_answer.sum(dim=1).max())
    # Answer positions first, in order; rows with fewer of them are padded and masked.
    rows = is_answer.int().argsort(dim=1, descending=True, stable=True)[:, :starts].clamp(min=1)
    return Handover(
        input_ids=batch.input_ids,
        rows=rows,
        is_start=is_answer.gather(1, rows),
        is_answer=is_answer,
        hidden=output.hidden_states[-1],
        probs=output.logits.softmax(dim=-1),
        shared_kv_states=dict(output.shared_kv_states),
    )


def drafter_masks(rows: torch.Tensor, length: int, window: int) -> dict[str, torch.Tensor]:
    """Return boolean masks `[batch, 1, starts, seq]`: KV of tokens before the newest one only."""
    key = torch.arange(length)[None, None, None, :]
    newest = rows[:, None, :, None]
    earlier = key < newest
    return {"full_attention": earlier, "sliding_attention": earlier & (key >= newest - window)}


def unrolled_loss(
    target: Gemma4ForCausalLM,
    drafter: Gemma4AssistantForCausalLM,
    given: Handover,
    unroll: int,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the loss over `unroll` draft steps, and the share of right drafts per step.

    The loss is the cross-entropy to the target's law, over the whole vocabulary and over clusters
    (the centroid head picks clusters by a top-k, which has no gradient of its own).
    """
    length = given.input_ids.shape[1]
    ordering = drafter.masked_embedding.token_ordering.view(drafter.config.num_centroids, -1)
    masks = drafter_masks(given.rows, length, target.config.sliding_window)
    hidden = _take(given.hidden, given.rows - 1)
    losses, agreement = [], []
    for step in range(unroll):
        newest = (given.rows + step).clamp(max=length - 1)
        embeds = target.get_input_embeddings()(given.input_ids.gather(1, newest))
        states = drafter.model(
            inputs_embeds=drafter.pre_projection(torch.cat([embeds, hidden], dim=-1)),
            attention_mask=masks,
            position_ids=given.rows,
            shared_kv_states=given.shared_kv_states,
            use_cache=False,
        ).last_hidden_state
        hidden = drafter.post_projection(states)
        following = (given.rows + step + 1).clamp(max=length - 1)
        judged = given.is_start & given.is_answer.gather(1, following)
        judged &= given.rows + step + 1 < length
        if not judged.any():
            break
        law = _take(given.probs, newest)[judged]
        logits = drafter.lm_head(states[judged])
        cluster_logits = drafter.masked_embedding.centroids(states[judged])
        cluster_law = law[:, ordering].sum(dim=-1)
        losses.append(
            _cross_entropy(law, logits) + 0.5 * _cross_entropy(cluster_law, cluster_logits)
        )
        agreement.append((logits.argmax(-1) == law.argmax(-1)).float().mean())
    return torch.stack(losses).mean(), agreement


def train_drafter(
    target: Gemma4ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, seed: int
) -> Gemma4AssistantForCausalLM:
    """Run both phases in `folder`, resuming from a checkpoint if there is one."""
    drafter = new_drafter(target, seed)
    target.eval().requires_grad_(False)
    for recipe in (DISTIL, POLISH):
        run_recipe(recipe, target, drafter, tokenizer, folder)
    return drafter


def run_recipe(
    recipe: Recipe,
    target: Gemma4ForCausalLM,
    drafter: Gemma4AssistantForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    root: Path,
) -> None:
    """Train `drafter` through one phase; its checkpoint and log bear its name."""
    folder = root / f"{recipe.name}-training"
    opts = loop.optimizers(drafter, recipe.learning_rate)
    first = loop.load_checkpoint(folder, drafter, opts)
    log = loop.TrainingLog(root / f"{recipe.name}.csv", first)
    stream = batches(tokenizer, recipe.data_seed, recipe.tokens_per_batch, shares=recipe.shares)
    running = torch.zeros(recipe.unroll + 1)
    for step, batch in enumerate(islice(stream, first, recipe.steps), start=first):
        loss, agreement = unrolled_loss(target, drafter, hand_over(target, batch), recipe.unroll)
        loop.update(drafter, opts, loss, recipe, step)
        agreement += [agreement[-1]] * (recipe.unroll - len(agreement))
        running += torch.stack([loss.detach(), *agreement])
        if (step + 1) % 50 == 0:
            means = (running / 50).tolist()
            log.write(step, loss=means[0], **{f"draft_{k}": v for k, v in enumerate(means[1:], 1)})
            running.zero_()
        if (step + 1) % 250 == 0:
            loop.save_checkpoint(folder, step + 1, drafter, opts)
    loop.save_checkpoint(folder, recipe.steps, drafter, opts)


def _take(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return `values[b, rows[b, s]]` as `[batch, starts, features]`."""
    index = rows.clamp(min=0)[:, :, None].expand(-1, -1, values.shape[-1])
    return values.gather(1, index)


def _cross_entropy(law: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return -(law * log_softmax(logits, dim=-1)).sum(dim=-1).mean()
