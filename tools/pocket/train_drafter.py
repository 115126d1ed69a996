"""Distil the bundled drafter from the frozen target, with the package's own training.

It learns from the corpus' answers rather than from the target's own: those are right more often,
and its distribution at every token, which is what it is taught, comes from the target either way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from transformers import Gemma4AssistantForCausalLM, Gemma4ForCausalLM, PreTrainedTokenizerFast

from gemma_mtp_edu.models.pairs import ModelPair
from gemma_mtp_edu.training.distillation import Texts
from gemma_mtp_edu.training.new_drafter import new_drafter
from gemma_mtp_edu.training.target_texts import Evaluation
from gemma_mtp_edu.training.training import train
from tools.pocket import loop
from tools.pocket.corpus import IGNORED, MIXES
from tools.pocket.loop import Phase


@dataclass(frozen=True, slots=True)
class Recipe(Phase):
    """A phase in which the drafter is unrolled so many steps."""

    unroll: int = 6


DISTIL = Recipe("drafter", 600, 3072, 3e-3, 50, 260, data_seed=3)
POLISH = Recipe("drafter-polish", 150, 3072, 1.5e-3, 20, 20, data_seed=5, shares=MIXES["exact"])
WIDE = Recipe("drafter-wide", 700, 3072, 2e-3, 20, 150, data_seed=10, shares=MIXES["wide"])
RECIPES = (DISTIL, POLISH, WIDE)


def train_drafter(
    target: Gemma4ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    seed: int,
    start: Gemma4AssistantForCausalLM | None = None,
) -> Gemma4AssistantForCausalLM:
    """Run all phases in `folder`, resuming where one was cut off; from `start` the last alone."""
    drafter = start or new_drafter(target, seed=seed)
    pair = ModelPair(target.eval().requires_grad_(False), drafter, name="pocket")
    for recipe in RECIPES[-1:] if start else RECIPES:
        run_recipe(recipe, pair, tokenizer, folder)
    return drafter


def run_recipe(
    recipe: Recipe, pair: ModelPair, tokenizer: PreTrainedTokenizerFast, root: Path
) -> None:
    """Train the drafter through one phase; its checkpoint and log bear its name."""
    log = loop.TrainingLog(root / f"{recipe.name}.csv")

    def write(done: Evaluation) -> None:
        if done.loss is not None:
            drafts = {f"draft_{k}": share for k, share in enumerate(done.agreement, 1)}
            log.write(done.step - 1, loss=done.loss, **drafts)

    train(pair, _texts(recipe, tokenizer), replace(recipe.plan(), unroll=recipe.unroll),
          folder=root / f"{recipe.name}-training", on_evaluation=write)  # fmt: skip


def _texts(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> Iterator[Texts]:
    for batch in recipe.batches(tokenizer):
        yield Texts(batch.input_ids, batch.labels != IGNORED)
