"""What both trainings share: their phases and their log; and one step of the target's."""

import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from gemma_mtp_edu.training.training import Plan
from tools.pocket.corpus import SHARES, Batch, Shares, batches


@dataclass(frozen=True, slots=True)
class Phase:
    """One stage of a training; steps count from its own start."""

    name: str
    steps: int
    tokens_per_batch: int
    learning_rate: float
    warmup: int
    decay_from: int
    data_seed: int
    shares: Shares = field(default_factory=lambda: SHARES)
    lanes: int = 1  # batches a step

    def batches(self, tokenizer: PreTrainedTokenizerFast, lane: int = 0) -> Iterator[Batch]:
        """Return the batches of one lane, without end."""
        drawn = {"shares": self.shares, "lane": lane, "lanes": self.lanes}
        return batches(tokenizer, self.data_seed, self.tokens_per_batch, **drawn)

    def plan(self) -> Plan:
        """Return the plan of the package's training, which has the learning rates."""
        return Plan(
            steps=self.steps,
            learning_rate=self.learning_rate,
            warmup=self.warmup,
            decay_from=self.decay_from,
        )


def update(
    model: torch.nn.Module,
    opts: list[torch.optim.Optimizer],
    loss: torch.Tensor,
    phase: Phase,
    step: int,
) -> None:
    """Make one optimizer step down the gradient of `loss`, clipped to norm 1."""
    for opt in opts:
        for group in opt.param_groups:
            group["lr"] = phase.plan().rate(step)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for opt in opts:
        opt.step()
        opt.zero_grad(set_to_none=True)


class TrainingLog:
    """A CSV file of measurements; rows from a written step on are replaced, as after a resume."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self.rows = list(csv.DictReader(file))
        self.started = time.perf_counter() - (float(self.rows[-1]["seconds"]) if self.rows else 0)

    def write(self, step: int, **values: float) -> None:
        """Add one row and rewrite the file."""
        row = {"step": str(step), "seconds": f"{time.perf_counter() - self.started:.0f}"}
        row |= {key: f"{value:.4f}" for key, value in values.items()}
        self.rows = [earlier for earlier in self.rows if int(earlier["step"]) < step] + [row]
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        with self.path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
