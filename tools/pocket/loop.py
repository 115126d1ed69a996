"""What both trainings share: the optimizers, the learning-rate schedule, the log, checkpoints."""

import csv
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tools.pocket.corpus import SHARES, Shares
from tools.pocket.muon import Muon


def optimizers(model: torch.nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the layers' matrices and AdamW for embeddings, heads and norms."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if ".layers." in name and parameter.ndim == 2 else others).append(parameter)
    return [
        Muon(matrices, lr=lr),
        torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, foreach=True),
    ]


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


def update(
    model: torch.nn.Module,
    opts: list[torch.optim.Optimizer],
    loss: torch.Tensor,
    phase: Phase,
    step: int,
) -> None:
    """Make one optimizer step down the gradient of `loss`, clipped to norm 1."""
    factor = learning_rate_factor(
        step, warmup=phase.warmup, decay_from=phase.decay_from, total=phase.steps
    )
    set_learning_rate(opts, phase.learning_rate * factor)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for opt in opts:
        opt.step()
        opt.zero_grad(set_to_none=True)


def learning_rate_factor(step: int, *, warmup: int, decay_from: int, total: int) -> float:
    """Warm up linearly, stay constant, decay linearly to 2% between `decay_from` and `total`."""
    if step < warmup:
        return (step + 1) / warmup
    if step < decay_from:
        return 1.0
    return max(0.02, 1.0 - 0.98 * (step - decay_from) / max(1, total - decay_from))


def set_learning_rate(opts: list[torch.optim.Optimizer], lr: float) -> None:
    """Set one learning rate on all optimizers."""
    for opt in opts:
        for group in opt.param_groups:
            group["lr"] = lr


class TrainingLog:
    """A CSV file of measurements; on a resume, rows after the resumed step are dropped."""

    def __init__(self, path: Path, from_step: int) -> None:
        self.path = path
        self.rows: list[dict[str, str]] = []
        if path.exists():
            with path.open(newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) < from_step]
        self.started = time.perf_counter() - (float(self.rows[-1]["seconds"]) if self.rows else 0)

    def write(self, step: int, **values: float) -> None:
        """Add one row and rewrite the file."""
        row = {"step": str(step), "seconds": f"{time.perf_counter() - self.started:.0f}"}
        row |= {key: f"{value:.4f}" for key, value in values.items()}
        self.rows.append(row)
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)
        print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)


def save_checkpoint(
    folder: Path, step: int, model: torch.nn.Module, opts: list[torch.optim.Optimizer]
) -> None:
    """Write weights and optimizer state, and last the step, so that a cut write is never read."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    save_file(weights, folder / f"model-{step}.safetensors")
    torch.save([opt.state_dict() for opt in opts], folder / f"optimizers-{step}.pt")
    partial = folder / "step.json.partial"
    partial.write_text(json.dumps({"step": step}))
    partial.replace(folder / "step.json")
    for old in folder.glob("*-*.*"):
        if not old.stem.endswith(f"-{step}"):
            old.unlink()


def load_checkpoint(folder: Path, model: torch.nn.Module, opts: list[torch.optim.Optimizer]) -> int:
    """Load the newest checkpoint, if there is one, and return the step to go on from."""
    marker = folder / "step.json"
    if not marker.exists():
        return 0
    step: int = json.loads(marker.read_text())["step"]
    model.load_state_dict(load_file(folder / f"model-{step}.safetensors"))
    states: list[dict[str, Any]] = torch.load(folder / f"optimizers-{step}.pt", weights_only=True)
    for opt, state in zip(opts, states, strict=True):
        opt.load_state_dict(state)
    return step
