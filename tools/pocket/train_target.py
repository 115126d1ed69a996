"""Train the bundled target: ten layers, grown to thirty, polished on the exact tasks, drilled."""

from itertools import islice
from pathlib import Path
from random import Random

import torch
from torch.nn.functional import cross_entropy
from transformers import Gemma4ForCausalLM, PreTrainedTokenizerFast

from gemma_mtp_edu.training.distillation import muon_and_adamw
from gemma_mtp_edu.training.training import load_checkpoint, save_checkpoint
from tools.pocket import loop
from tools.pocket.corpus import IGNORED, MIXES, Batch, pool_batches
from tools.pocket.loop import Phase
from tools.pocket.target import grow, new_target

SHALLOW = Phase("shallow", 3500, 3072, 6e-3, 100, 3500, data_seed=1)
DEEP = Phase("deep", 900, 3072, 4e-3, 30, 270, data_seed=2)
POLISH = Phase("polish", 200, 3072, 1.5e-3, 20, 20, data_seed=4, shares=MIXES["polish"])
DRILL = Phase("drill", 1000, 3072, 3e-3, 30, 250, data_seed=6, shares=MIXES["drill"])
BLEND = Phase("blend", 300, 3072, 2e-3, 20, 40, data_seed=7, shares=MIXES["blend"])
WIDE = Phase("wide", 1300, 3072, 4e-3, 30, 1300, data_seed=8, shares=MIXES["wide"], lanes=2)
SETTLE = Phase("settle", 700, 3072, 3e-3, 10, 10, data_seed=9, shares=MIXES["settle"], lanes=2)
PRACTICE = Phase(
    "practice", 1600, 3072, 4e-3, 20, 400, data_seed=11, shares=MIXES["practice"], lanes=2
)
DEEP_PHASES = (DEEP, POLISH, DRILL, BLEND)
WIDE_PHASES = (WIDE, SETTLE, PRACTICE)  # these can also go on from a pair that is there


def answer_loss(model: Gemma4ForCausalLM, batch: Batch) -> torch.Tensor:
    """Return the mean cross-entropy over answer tokens; only those positions get logits."""
    hidden = model.model(input_ids=batch.input_ids, use_cache=False).last_hidden_state[:, :-1]
    labels = batch.labels[:, 1:]
    answers = labels != IGNORED
    logits = model.lm_head(hidden[answers])
    cap = model.config.final_logit_softcapping
    return cross_entropy(torch.tanh(logits / cap) * cap, labels[answers])


@torch.no_grad()
def held_out_loss(model: Gemma4ForCausalLM, tokenizer: PreTrainedTokenizerFast) -> float:
    """Return the mean answer loss over a fixed set of held-out conversations."""
    held_out = pool_batches(tokenizer, Random("held-out"), 3072, 96, split="held_out")
    losses = [answer_loss(model, batch).item() for batch in held_out]
    return sum(losses) / len(losses)


def run_phase(
    phase: Phase, model: Gemma4ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> None:
    """Train `model` through one phase, resuming from the checkpoint in `folder` if there is one."""
    opts = muon_and_adamw(model, phase.learning_rate)
    first = 0
    if found := load_checkpoint(folder, opts):
        first = found[0]["step"]
        model.load_state_dict(found[1]["model"])
    log = loop.TrainingLog(folder.parent / f"{phase.name}.csv")
    lanes = (phase.batches(tokenizer, lane) for lane in range(phase.lanes))
    streams = (islice(lane, first, phase.steps) for lane in lanes)
    running, tokens = 0.0, 0
    for step, parts in enumerate(zip(*streams, strict=True), start=first):
        loss = torch.stack([answer_loss(model, batch) for batch in parts]).mean()
        loop.update(model, opts, loss, phase, step)
        running += loss.item()
        tokens += sum(batch.input_ids.numel() for batch in parts)
        if (step + 1) % 50 == 0:
            values = {"loss": running / 50, "tokens": tokens / 1000}
            if (step + 1) % 250 == 0:
                values["held_out_loss"] = held_out_loss(model, tokenizer)
                save_checkpoint(folder, {"model": model.state_dict()}, opts, {"step": step + 1})
            log.write(step, **values)
            running, tokens = 0.0, 0
    save_checkpoint(folder, {"model": model.state_dict()}, opts, {"step": phase.steps})


def train_target(tokenizer: PreTrainedTokenizerFast, folder: Path, seed: int) -> Gemma4ForCausalLM:
    """Run all phases and return the trained deep target."""
    shallow = new_target(len(tokenizer), seed)
    run_phase(SHALLOW, shallow, tokenizer, folder / SHALLOW.name)
    deep = grow(shallow)
    for phase in DEEP_PHASES:
        run_phase(phase, deep, tokenizer, folder / phase.name)
    return widen(deep, tokenizer, folder)


def widen(
    target: Gemma4ForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path
) -> Gemma4ForCausalLM:
    """Train a deep target on what people type."""
    for phase in WIDE_PHASES:
        run_phase(phase, target, tokenizer, folder / phase.name)
    return target
