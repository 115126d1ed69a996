"""Distil a drafter for a frozen target: the plan, the loop, early stop, checkpoints, resume.

Under `accelerate launch` each process takes its share of the batches.
"""

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer
from tqdm import tqdm

from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.models.pairs import ModelPair
from gemma_mtp_edu.training import distillation
from gemma_mtp_edu.training.target_texts import Evaluation, evaluate_drafter

CHECKPOINT = "checkpoint.safetensors"
Batch = distillation.Texts | distillation.DistillationBatch
Runs = Sequence[GenerationTrace]
Report = Callable[[Evaluation], None]
State = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train."""

    steps: int = 300
    unroll: int = 4  # draft steps from every position
    loss: str = "cross-entropy"  # or another of `distillation.LOSSES`
    learning_rate: float = 3e-3  # the highest
    warmup: int = 20  # steps in which it rises to that
    decay_from: int | None = None  # the step from which it falls to 2%; None: two thirds of all
    check_every: int = 50  # steps between two evaluations, each with a checkpoint
    gamma: int = 4  # drafts per round in an evaluation
    patience: int = 0  # evaluations without a better acceptance before it stops; 0: never

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        if step < self.warmup:
            return self.learning_rate * ((step + 1) / self.warmup)
        decay_from = self.steps * 2 // 3 if self.decay_from is None else self.decay_from
        decayed = max(0, step - decay_from) / max(1, self.steps - decay_from)
        return self.learning_rate * max(0.02, 1.0 - 0.98 * decayed)


class Training(NamedTuple):
    """A finished training: its evaluations, and the step whose weights the drafter now has."""

    evaluations: tuple[Evaluation, ...]
    kept_step: int
    stopped_early: bool


def train(
    pair: ModelPair,
    batches: Iterable[Batch],
    plan: Plan = Plan(),
    *,
    held_out: Runs = (),
    folder: str | Path | None = None,
    on_evaluation: Report = lambda evaluation: None,
) -> Training:
    """Train `pair.drafter` in place, in float32; at the end it gets the target's dtype.

    After an interrupt or an error the drafter is as it was; what was learned is in `folder`.

    Args:
        pair: The models; the target is not changed.
        batches: Texts in the target's own words, in the same order at every call; or their
            `distillation_batch`, which saves target passes where texts come again.
        plan: How to train.
        held_out: Plain greedy runs on other prompts; then the best evaluation's weights are kept.
        folder: For checkpoints; training goes on from one that it holds, to the result without the
            interruption. Only `steps` and `patience` may change.
        on_evaluation: Gets every evaluation as it happens.
    """
    # Whatever the caller has switched off: a training needs gradients.
    with torch.inference_mode(False), torch.enable_grad():
        weights, dtype = copy.deepcopy(pair.drafter.state_dict()), pair.drafter.dtype
        parameters = [*pair.target.parameters(), *pair.drafter.parameters()]
        needed = [parameter.requires_grad for parameter in parameters]
        try:
            pair.target.requires_grad_(False)
            pair.drafter.float().requires_grad_(True)
            training = _Trainer(pair, plan, held_out, folder, on_evaluation).run(batches)
            pair.drafter.to(dtype=pair.target.dtype)
            return training
        except BaseException:  # an interrupt too
            pair.drafter.to(dtype=dtype).load_state_dict(weights)
            pair.drafter.zero_grad()
            raise
        finally:
            for parameter, value in zip(parameters, needed, strict=True):
                parameter.requires_grad_(value)


class _Trainer:
    """The state between two steps; `train` says what it does."""

    def __init__(
        self, pair: ModelPair, plan: Plan, held_out: Runs, folder: str | Path | None, report: Report
    ) -> None:
        self.pair, self.plan, self.held_out, self.report = pair, plan, held_out, report
        self.folder = Path(folder) if folder else None
        # With one draft step the projection back to the target's width has no gradient.
        wrapper = DistributedDataParallelKwargs(find_unused_parameters=True)
        on_cpu = pair.device.type == "cpu"
        self.accelerator = Accelerator(mixed_precision="no", cpu=on_cpu, kwargs_handlers=[wrapper])
        embedding = pair.target.get_input_embeddings()
        module = distillation.Unroll(pair.drafter, embedding, plan.unroll, plan.loss)
        # Alone it stays on the pair's device, which need not be the first GPU.
        together = self.accelerator.num_processes > 1
        self.module = self.accelerator.prepare(module, device_placement=[together])
        self.optimizers = distillation.muon_and_adamw(pair.drafter, plan.learning_rate)
        self.evaluations: list[Evaluation] = []
        self.best: State = {}
        self.step = 0
        if not self._resumed():
            self._evaluate(None, [])

    def run(self, batches: Iterable[Batch]) -> Training:
        """Take the steps that are left, and give the drafter the weights that are kept."""
        plan, share = self.plan, self.accelerator.num_processes
        mine = islice(batches, self.step * share + self.accelerator.process_index, None, share)
        total = torch.zeros(plan.unroll + 1, device=self.pair.device)
        how = {"leave": False} if self.accelerator.is_main_process else {"disable": True}
        with tqdm(total=plan.steps, initial=self.step, unit="step", delay=2, **how) as bar:
            while self.step < plan.steps:
                if self.best and 0 < plan.patience <= self._since_best():
                    break
                if (batch := next(mine, None)) is None:
                    raise ValueError(f"got {self.step} batches, need {plan.steps}: see shuffled()")
                total += self._step(batch)
                self.step += 1
                bar.update()
                if self.step % plan.check_every == 0 or self.step == plan.steps:
                    loss, *agreement = (total / (self.step - self.evaluations[-1].step)).tolist()
                    self._evaluate(loss, agreement)
                    total.zero_()
        if self.best:
            self.pair.drafter.load_state_dict(self.best)
        kept = self.evaluations[-1 - self._since_best()].step if self.best else self.step
        return Training(tuple(self.evaluations), kept, self.step < plan.steps)

    def _step(self, batch: Batch) -> Tensor:
        """Return the loss and the agreement of each draft step, averaged over processes."""
        if isinstance(batch, distillation.Texts):
            batch = distillation.distillation_batch(self.pair.target, batch)
        loss, agreement = self.module(batch)
        if not torch.isfinite(loss):
            found = f"the loss is {loss.item()} at step {self.step + 1}"
            raise FloatingPointError(f"{found}: lower the learning rate, or warm up for longer")
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.module.parameters(), 1.0)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.plan.rate(self.step)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        numbers = torch.stack([loss.detach(), *agreement])
        return self.accelerator.reduce(numbers, reduction="mean")

    def _evaluate(self, loss: float | None, agreement: list[float]) -> None:
        found = evaluate_drafter(self.pair, self.held_out, self.plan.gamma)
        self.evaluations.append(found._replace(step=self.step, loss=loss, agreement=agreement))
        if self.held_out and not self._since_best():
            self.best = copy.deepcopy(self.pair.drafter.state_dict())
        if self.accelerator.is_main_process:
            self.report(self.evaluations[-1])
        self.accelerator.wait_for_everyone()
        if self.folder is not None and self.step and self.accelerator.is_main_process:
            evaluations = [evaluation._asdict() for evaluation in self.evaluations]
            notes = {"step": self.step, "plan": asdict(self.plan), "evaluations": evaluations}
            weights = {"newest": self.pair.drafter.state_dict(), "best": self.best}
            save_checkpoint(self.folder, weights, self.optimizers, notes)

    def _since_best(self) -> int:
        """Return how many evaluations were after the best one, the first of equals."""
        accepted = [evaluation.acceptance or 0.0 for evaluation in self.evaluations]
        return len(accepted) - 1 - accepted.index(max(accepted))

    def _resumed(self) -> bool:
        """Load the checkpoint, if there is one."""
        if not (found := self.folder and load_checkpoint(self.folder, self.optimizers)):
            return False
        notes, weights = found
        # A training may go on for longer or with more patience; all else shapes its weights.
        was, now = ({**p, "steps": 0, "patience": 0} for p in (notes["plan"], asdict(self.plan)))
        if different := [f"{n} {was.get(n)} -> {now[n]}" for n in now if was.get(n) != now[n]]:
            wrong = f"is of a training with another plan ({', '.join(different)})"
            wanted = "train into another folder, or remove it"
            raise ValueError(f"the checkpoint in {self.folder} {wrong}: {wanted}")
        self.pair.drafter.load_state_dict(weights["newest"])
        self.best, self.step = weights.get("best", {}), notes["step"]
        self.evaluations = [Evaluation(**record) for record in notes["evaluations"]]
        return True


def save_checkpoint(
    folder: Path, weights: dict[str, State], optimizers: list[Optimizer], notes: dict[str, Any]
) -> None:
    """Write weights, optimizer states and notes as one file; a cut-off write leaves the old one."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"{part}/{name}": v for part in weights for name, v in weights[part].items()}
    for place, optimizer in enumerate(optimizers):
        for parameter, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer{place}/{parameter}/{name}": v for name, v in values.items()}
    copies = {name: tensor.clone() for name, tensor in tensors.items()}  # tied ones not twice
    partial = folder / f"{CHECKPOINT}.partial"
    partial.unlink(missing_ok=True)  # a link there would lead the write elsewhere
    save_file(copies, partial, metadata={"notes": json.dumps(notes)})
    partial.replace(folder / CHECKPOINT)


def load_checkpoint(
    folder: Path, optimizers: list[Optimizer]
) -> tuple[dict[str, Any], dict[str, State]] | None:
    """Return a checkpoint's notes and weights, None where there is none; optimizers get theirs."""
    path, parts = folder / CHECKPOINT, defaultdict[str, State](dict)
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            notes: dict[str, Any] = json.loads(file.metadata()["notes"])
            for part, name in (key.split("/", 1) for key in file.keys()):
                parts[part][name] = file.get_tensor(f"{part}/{name}")
    except Exception as error:  # safetensors raises an error class of its own
        raise ValueError(f"{path} cannot be read ({error}): remove it to begin anew") from error
    for place, optimizer in enumerate(optimizers):
        state = defaultdict[int, State](dict)
        for key, value in parts[f"optimizer{place}"].items():
            parameter, name = key.split("/")
            state[int(parameter)][name] = value
        # The groups hold numbers that the training sets anew at every step.
        optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(state)})
    return notes, parts


def shuffled(items: Sequence[Any], seed: int = 0) -> Iterator[Any]:
    """Yield all items in an order drawn from the seed, again and again, without end."""
    if not items:
        raise ValueError("got no items, need one or more: without any there is no next one")
    for epoch in count():
        order = list(items)
        Random(f"{seed}-{epoch}").shuffle(order)
        yield from order
