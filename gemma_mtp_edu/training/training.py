"""Distil a drafter for a target: the loop, its checkpoints, its early stop.

The target is frozen. Before each step it hands over what it hands over while decoding
(`distillation`), the drafter is unrolled, one optimizer step follows. accelerate places it on one
device or several; under `accelerate launch` each process takes its share of the batches.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from random import Random
from types import NoneType
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from torch import Tensor
from tqdm import tqdm

from gemma_mtp_edu.core.arguments import check_kind
from gemma_mtp_edu.core.sharing import changing, running
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair
from gemma_mtp_edu.training.checkpoints import (
    State,
    load_checkpoint,
    save_checkpoint,
    unreadable,
    weights_of,
)
from gemma_mtp_edu.training.distillation import Handover, Texts, Unroll, hand_over
from gemma_mtp_edu.training.held_out import held_out_look as held_out_look
from gemma_mtp_edu.training.muon import Muon
from gemma_mtp_edu.training.training_input import (
    check_optimizers,
    check_texts,
    check_trainable,
    checked_folder,
)
from gemma_mtp_edu.training.training_plan import Look as Look
from gemma_mtp_edu.training.training_plan import Plan as Plan
from gemma_mtp_edu.training.training_plan import differences, read_stored, stored

NEWEST, BEST = "newest.", "best."
DEFAULT_PLAN = Plan()
Item = TypeVar("Item")
MakeOptimizers = Callable[[torch.nn.Module, float], list[torch.optim.Optimizer]]


@dataclass(frozen=True, slots=True)
class Training:
    """A finished training: its looks, and the step whose weights the drafter now has."""

    looks: tuple[Look, ...]
    kept_step: int
    stopped_early: bool


def muon_and_adamw(model: torch.nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Return Muon for the layers' matrices and AdamW for embeddings, heads and norms."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (matrices if ".layers." in name and parameter.ndim == 2 else others).append(parameter)
    return [
        Muon(matrices, lr=lr),
        torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0, foreach=True),
    ]


def shuffled(items: Sequence[Item], seed: int = 0) -> Iterator[Item]:
    """Yield all items in an order drawn from the seed, again and again, without end.

    Raises:
        ValueError: There are no items.
    """
    check_kind(items, Sequence, "items", tr("a list"))
    if not items:
        raise ValueError(tr("got no items, need one or more: without any there is no next one"))
    for epoch in range(2**63):
        order = list(items)
        Random(f"{seed}-{epoch}").shuffle(order)
        yield from order


def train(
    pair: ModelPair,
    batches: Iterable[Texts | Handover],
    plan: Plan = DEFAULT_PLAN,
    *,
    held_out: Sequence[GenerationTrace] = (),
    folder: str | Path | None = None,
    on_look: Callable[[Look], None] | None = None,
    optimizers: MakeOptimizers = muon_and_adamw,
) -> Training:
    """Train `pair.drafter` in place.

    It is trained in float32 and gets the target's dtype at the end. With held-out texts the weights
    of the best look are kept, otherwise the last ones. After an interrupt or an error the drafter
    is as it was before; what was learned until then is in `folder`.

    Args:
        pair: The models; the target is not changed.
        batches: Texts in the target's own words, the same ones in the same order whenever this is
            called; or what the target handed over for them, which saves its passes where texts come
            again.
        plan: How to train.
        held_out: Plain greedy runs of `pair` on prompts that it is not trained on.
        folder: For checkpoints; where it holds one, training goes on from there, by the same plan
            with the result that it would have had without the interruption. Only `steps` and
            `patience` may be others.
        on_look: Gets every look as it happens.
        optimizers: Makes them from the module that is trained and the learning rate.

    Raises:
        ValueError: An argument is of another kind, the drafter does not fit, the checkpoint cannot
            be read or is of another plan, or there are no batches left.
        FloatingPointError: The loss is no longer a number.
    """
    check_trainable(pair)
    check_kind(plan, Plan, "plan", "training.Plan(...)")
    check_kind(batches, Iterable, "batches", tr("what own_texts returns"))
    check_texts(held_out)
    check_kind(on_look, (Callable, NoneType), "on_look", tr("a function of a Look, or None"))  # type: ignore[arg-type]
    check_kind(optimizers, Callable, "optimizers", tr("a function of a module and a rate"))  # type: ignore[arg-type]
    folder = checked_folder(folder)
    with (
        running(pair.target),
        changing(pair.drafter),
        _as_it_was_after_errors(pair.drafter),
        # Whatever the caller has switched off: a training needs gradients.
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        drafter = pair.drafter.float().requires_grad_(True)
        # With one draft step the projection back to the target's width has no gradient.
        wrapper = DistributedDataParallelKwargs(find_unused_parameters=True)
        accelerator = Accelerator(cpu=pair.device.type == "cpu", kwargs_handlers=[wrapper])
        module = Unroll(drafter, plan.unroll, plan.loss)
        chosen = check_optimizers(optimizers(drafter, plan.learning_rate))
        trainer = _Trainer(pair, plan, accelerator, module, chosen)
        trainer.resume(folder, held_out, on_look)
        trainer.run(batches, folder, held_out, on_look)
        training = trainer.finish()
        drafter.requires_grad_(False).eval().to(dtype=pair.target.dtype)
    return training


class _Trainer:
    """The state between two steps; `train` says what it does."""

    def __init__(
        self,
        pair: ModelPair,
        plan: Plan,
        accelerator: Accelerator,
        module: Unroll,
        optimizers: list[torch.optim.Optimizer],
    ) -> None:
        self.pair, self.plan, self.accelerator = pair, plan, accelerator
        self.drafter = module.drafter
        # Alone it stays on the pair's device, which need not be the first GPU.
        together = accelerator.num_processes > 1
        self.module = accelerator.prepare(module, device_placement=[together])
        self.raw_optimizers = optimizers
        self.optimizers = [accelerator.prepare(optimizer) for optimizer in optimizers]
        self.looks: list[Look] = []
        self.best: State = {}
        self.step = 0

    def resume(
        self,
        folder: Path | None,
        held_out: Sequence[GenerationTrace],
        on_look: Callable[[Look], None] | None,
    ) -> None:
        """Load the checkpoint in `folder`, or take the look before the first step."""
        found = load_checkpoint(folder, self.raw_optimizers, self._tensors()) if folder else None
        if folder is None or found is None:
            self._look(Look(0), held_out, on_look)
            return
        record, tensors = found
        try:
            plan, self.looks = read_stored(record)
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable(folder, error) from error
        if different := differences(plan, self.plan):
            raise ValueError(
                tr(
                    "the checkpoint in {name} is of a training with another plan ({different}): "
                    "train into another folder, or remove that one to begin anew",
                    name=folder.name,
                    different=different,
                )
            )
        self.step = record["step"]
        self.drafter.load_state_dict(_part(tensors, NEWEST))
        self.best = _part(tensors, BEST)

    def run(
        self,
        batches: Iterable[Texts | Handover],
        folder: Path | None,
        held_out: Sequence[GenerationTrace],
        on_look: Callable[[Look], None] | None,
    ) -> None:
        """Take the steps that are left."""
        plan, share = self.plan, self.accelerator.num_processes
        mine = islice(batches, self.step * share + self.accelerator.process_index, None, share)
        total = torch.zeros(plan.unroll + 1, device=self.pair.device)
        others = {} if self.accelerator.is_main_process else {"disable": True}
        bar = tqdm(total=plan.steps, initial=self.step, unit="step", delay=2, leave=False, **others)
        with bar:
            while self.step < plan.steps and not self._is_stuck():
                batch = next(mine, None)
                if batch is None:
                    raise ValueError(
                        tr(
                            "the batches ended after {step} steps, need {steps}: give more, "
                            "or the same ones again and again (training.shuffled)",
                            step=self.step,
                            steps=plan.steps,
                        )
                    )
                total += self._step(batch)
                self.step += 1
                bar.update()
                if self.step % plan.check_every == 0 or self.step == plan.steps:
                    since = self.step - self.looks[-1].step
                    loss, *agreement = (total / since).tolist()
                    self._look(Look(self.step, loss, tuple(agreement)), held_out, on_look)
                    total.zero_()
                    self._save(folder)

    def finish(self) -> Training:
        """Give the drafter the weights that are kept."""
        if self.best:
            self.drafter.load_state_dict(self.best)
        kept = self._best_look().step if self.best else self.step
        return Training(tuple(self.looks), kept, self.step < self.plan.steps)

    def _step(self, batch: Texts | Handover) -> Tensor:
        check_kind(batch, (Texts, Handover), "batch", tr("what own_texts or hand_over returns"))
        given = batch if isinstance(batch, Handover) else hand_over(self.pair.target, batch)
        loss, agreement = self.module(given)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                tr(
                    "the loss is {loss} at step {step}: lower the learning rate ({rate:g}), "
                    "or warm up for longer",
                    loss=loss.item(),
                    step=self.step + 1,
                    rate=self.plan.learning_rate,
                )
            )
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.plan.rate(self.step)
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.module.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        numbers = torch.stack([loss.detach(), *agreement])
        averaged: Tensor = self.accelerator.reduce(numbers, reduction="mean")
        return averaged

    def _look(
        self,
        look: Look,
        held_out: Sequence[GenerationTrace],
        on_look: Callable[[Look], None] | None,
    ) -> None:
        self.drafter.eval()
        seen = held_out_look(self.pair, held_out, self.plan.gamma)
        self.drafter.train()
        measured = {"acceptance": seen.acceptance, "tokens_per_round": seen.tokens_per_round}
        self.looks.append(Look(**{**asdict(look), "agreement": look.agreement, **measured}))
        if held_out and self._best_look() is self.looks[-1]:
            self.best = weights_of(self.drafter)
        if on_look is not None and self.accelerator.is_main_process:
            on_look(self.looks[-1])

    def _best_look(self) -> Look:
        return max(self.looks, key=lambda look: look.acceptance or 0.0)

    def _is_stuck(self) -> bool:
        if not (self.plan.patience and self.best):
            return False
        return len(self.looks) - 1 - self.looks.index(self._best_look()) >= self.plan.patience

    def _save(self, folder: Path | None) -> None:
        self.accelerator.wait_for_everyone()
        if folder is not None and self.accelerator.is_main_process:
            notes = stored(self.plan, self.looks)
            save_checkpoint(folder, self.step, self._tensors(), self.raw_optimizers, **notes)

    def _tensors(self) -> State:
        """Return the newest weights and, where there are held-out texts, the best ones."""
        parts = {NEWEST: weights_of(self.drafter), BEST: self.best}
        return {prefix + name: value for prefix in parts for name, value in parts[prefix].items()}


def _part(tensors: State, prefix: str) -> State:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@contextmanager
def _as_it_was_after_errors(drafter: Any) -> Iterator[None]:
    """Put a drafter back where anything ends its training early, an interrupt too."""
    weights = weights_of(drafter)
    needed = {name: value.requires_grad for name, value in drafter.named_parameters()}
    dtype, is_training = drafter.dtype, drafter.training
    try:
        yield
    except BaseException:
        drafter.to(dtype=dtype).train(is_training)
        drafter.load_state_dict(weights)
        for name, value in drafter.named_parameters():
            value.requires_grad_(needed[name])
            value.grad = None
        raise
