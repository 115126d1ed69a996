"""What `training.train` looks at before its first step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gemma_mtp_edu.core.arguments import check_kind, got
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.compatibility import check_pair, check_token_ordering, is_mtp_drafter
from gemma_mtp_edu.models.pairs import ModelPair, check_is_pair


def check_trainable(pair: ModelPair) -> None:
    """Raise unless the pair's drafter is one that can be distilled from its target.

    Raises:
        ValueError: It names what was got, what is needed and what to do.
    """
    check_is_pair(pair)
    check_pair(pair.target.config, pair.drafter.config)
    check_token_ordering(pair.drafter)
    if not is_mtp_drafter(pair.drafter.config):
        raise ValueError(
            tr(
                "the drafter is a {model_type}, need a Gemma 4 MTP drafter: make one with "
                "fresh_drafter.new_drafter(pair.target)",
                model_type=pair.drafter.config.model_type,
            )
        )


def check_texts(held_out: Any) -> None:
    """Raise unless these are runs of a pair, to judge a drafter by.

    Raises:
        ValueError: It is something else.
    """
    needed = tr("what own_texts.held_out_texts returns")
    check_kind(held_out, Sequence, "held_out", needed)
    for text in held_out:
        check_kind(text, GenerationTrace, "held_out", needed)


def checked_folder(folder: Any) -> Path | None:
    """Return the folder for checkpoints, which need not exist.

    Raises:
        ValueError: It is none, or a file.
    """
    if folder is None:
        return None
    needed = tr("a folder for checkpoints, or None")
    check_kind(folder, (str, Path), "folder", needed)
    if not str(folder).strip():
        raise ValueError(got(folder, "folder", needed))
    path = Path(folder)
    if path.exists() and not path.is_dir():
        raise ValueError(
            tr("got the file {name} as folder, need a folder for checkpoints", name=path.name)
        )
    return path


def check_optimizers(optimizers: Any) -> list[torch.optim.Optimizer]:
    """Return optimizers as a list.

    Raises:
        ValueError: There is none, or something else among them.
    """
    needed = tr("a list of one or more of torch's optimizers")
    check_kind(optimizers, (list, tuple), "optimizers", needed)
    if not optimizers:
        raise ValueError(got(optimizers, "optimizers", needed))
    for optimizer in optimizers:
        check_kind(optimizer, torch.optim.Optimizer, "optimizers", needed)
    return list(optimizers)
