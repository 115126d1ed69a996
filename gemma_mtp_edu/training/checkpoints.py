"""Save a training and go on from it: weights and optimizer states as safetensors, no pickle.

Files bear their step, and the marker that names the step is replaced last. So a write that is cut
off leaves the checkpoint before it as it was.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gemma_mtp_edu.lessons.language import tr

MARKER = "step.json"
_KINDS = ("weights", "optimizers")
State = dict[str, Tensor]


def save_checkpoint(
    folder: Path,
    step: int,
    tensors: State,
    optimizers: Sequence[torch.optim.Optimizer],
    **notes: Any,
) -> None:
    """Write a checkpoint into `folder`, then drop the one before it.

    Args:
        folder: Made where it is missing.
        step: Steps done.
        tensors: The weights, by name.
        optimizers: In the order in which `load_checkpoint` will get them.
        notes: Whatever else JSON can hold.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for kind, values in zip(_KINDS, (tensors, _optimizer_tensors(optimizers)), strict=True):
        save_file(values, _file(folder, kind, step))
    sums = {kind: _sum(_file(folder, kind, step)) for kind in _KINDS}
    partial = folder / f"{MARKER}.partial"
    partial.unlink(missing_ok=True)  # a link there would lead the write elsewhere
    record = {"step": step, "sha256": sums, **notes}
    partial.write_text(json.dumps(record), encoding="utf-8")
    partial.replace(folder / MARKER)
    for kind in _KINDS:
        for old in folder.glob(f"{kind}-*.safetensors"):
            if old.stem != f"{kind}-{step}":
                old.unlink()


def load_checkpoint(
    folder: Path, optimizers: Sequence[torch.optim.Optimizer], like: State
) -> tuple[dict[str, Any], State] | None:
    """Return the newest checkpoint's step and notes, and its weights; None where there is none.

    The optimizers get their states.

    Args:
        folder: Where `save_checkpoint` wrote.
        optimizers: In the order of then.
        like: Weights of the shapes that are wanted; the checkpoint may hold others beside them.

    Raises:
        ValueError: The checkpoint is one of another model or damaged; nothing was loaded.
    """
    marker = folder / MARKER
    if not marker.exists():
        return None
    try:
        record: dict[str, Any] = json.loads(marker.read_text(encoding="utf-8"))
        step = record["step"]
        if type(step) is not int or step < 1:  # it becomes part of file names
            raise TypeError(tr("got step {step!r}, need a whole number", step=step))
        for kind in _KINDS:
            _check_sum(_file(folder, kind, step), record["sha256"][kind])
        tensors, states = (load_file(_file(folder, kind, step)) for kind in _KINDS)
    except Exception as error:  # safetensors raises an error class of its own
        raise unreadable(folder, error) from error
    shapes = {name: value.shape for name, value in tensors.items()}
    if any(shapes.get(name) != value.shape for name, value in like.items()):
        raise ValueError(
            tr(
                "the checkpoint in {name} is of a model of another shape: train into another "
                "folder, or remove that one to begin anew",
                name=folder.name,
            )
        )
    _set_optimizer_tensors(optimizers, states)
    return record, tensors


def _file(folder: Path, kind: str, step: int) -> Path:
    return folder / f"{kind}-{step}.safetensors"


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_sum(path: Path, expected: Any) -> None:
    if _sum(path) != expected:
        raise ValueError(tr("{name} is cut off or altered", name=path.name))


def unreadable(folder: Path, error: Exception) -> ValueError:
    """Return the error for a damaged checkpoint."""
    if isinstance(error, KeyError):  # says the missing name only
        error = ValueError(tr("{name} is missing", name=error))
    return ValueError(
        tr(
            "the checkpoint in {name} cannot be read ({error}): remove that folder to begin anew",
            name=folder.name,
            error=error,
        )
    )


def weights_of(model: torch.nn.Module) -> State:
    """Return copies of all weights; a tied weight stands under each of its names."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _optimizer_tensors(optimizers: Sequence[torch.optim.Optimizer]) -> State:
    return {
        f"{place}.{parameter}.{name}": value.clone()
        for place, optimizer in enumerate(optimizers)
        for parameter, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def _set_optimizer_tensors(optimizers: Sequence[torch.optim.Optimizer], tensors: State) -> None:
    for place, optimizer in enumerate(optimizers):
        state: dict[int, State] = {}
        for key, value in tensors.items():
            where, parameter, name = key.split(".", 2)
            if int(where) == place:
                state.setdefault(int(parameter), {})[name] = value
        # The groups hold numbers that the training sets anew at every step.
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})
