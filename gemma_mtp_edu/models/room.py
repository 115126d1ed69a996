"""Is there room for a pair, in memory and on the disk? Asked before it is fetched or loaded."""

import errno
import warnings
from pathlib import Path
from typing import Any

import torch

from gemma_mtp_edu.lessons.language import marked, tr
from gemma_mtp_edu.models import registry
from gemma_mtp_edu.models.devices import one_device
from gemma_mtp_edu.models.hub_cache import cached, free_disk, hub_cache, missing_bytes
from gemma_mtp_edu.models.memory import free_memory
from gemma_mtp_edu.models.memory_plan import DTYPE_BYTES, MemoryPlan, gigabytes, memory_plan

SMALLER = marked(
    "take dtype='bfloat16' or 'float16' if it is not one of them (half of float32's), a smaller "
    "pair (load_pair('pocket') needs 0.03 GB), or a runtime with a larger GPU, and close what else "
    "holds memory"
)
MORE_DISK = marked("free some, or set HF_HOME to a larger disk and start Python again")
_CONTEXT = 256  # tokens; the plan's shortest sensible use


class NotEnoughMemoryError(MemoryError):
    """A pair does not fit in the memory that is free."""


class NoDiskSpaceError(OSError):
    """There is no room on the disk for a pair's files."""


def check_memory(
    name: str,
    configs: tuple[Any, Any],
    device: torch.device,
    dtype: torch.dtype,
    *,
    own_drafter: bool = False,
) -> torch.device:
    """Raise where the weights of a pair do not fit in what is free; warn where little else does.

    Args:
        name: What `load_pair` was asked for.
        configs: Of target and drafter.
        device: Where to. On CUDA without an index the CPU's memory takes what the GPUs cannot.
        dtype: The number format.
        own_drafter: Whether the drafter is another one than the pair's.

    Returns:
        The device; of several GPUs the current one, where all fits on it.

    Raises:
        NotEnoughMemoryError: They do not fit.
    """
    plan = _plan(name, configs, dtype, own_drafter=own_drafter)
    if plan is None:
        return device
    free = free_memory(device)
    spread = device.type == "cuda" and device.index is None
    everywhere = free
    if spread:
        others = (torch.device("cuda", i) for i in range(1, torch.cuda.device_count()))
        everywhere += sum(map(free_memory, others)) + free_memory(torch.device("cpu"))
    if plan.target_bytes + plan.drafter_bytes > everywhere:
        raise NotEnoughMemoryError(f"{plan.describe(everywhere)}: {tr(SMALLER)}")
    if not plan.fits(free):
        where = tr("parts go to other memory, which is slow" if spread else "long texts may fail")
        warnings.warn(f"{plan.describe(free)}: {where}; {tr(SMALLER)}", stacklevel=3)
        return device
    return one_device(device)


def check_disk(
    name: str, configs: tuple[Any, Any], sources: tuple[str, str], *, own_drafter: bool = False
) -> None:
    """Raise where what is still to be downloaded of a pair does not fit on the disk.

    Args:
        name: What `load_pair` was asked for.
        configs: Of target and drafter.
        sources: Their hub ids; folders need no download.
        own_drafter: Whether the drafter is another one than the pair's.

    Raises:
        NoDiskSpaceError: It does not fit.
    """
    absent = [s for s in sources if not Path(s).is_dir() and cached(s) != "cached"]
    if not absent:  # a plan may have to build both models, without memory
        return
    # Published ones are stored in 16 bit.
    plan = _plan(name, configs, torch.bfloat16, own_drafter=own_drafter)
    if plan is None:
        return
    sizes = dict(zip(sources, (plan.target_bytes, plan.drafter_bytes), strict=True))
    missing = missing_bytes({source: sizes[source] for source in absent})
    need, free = sum(missing.values()), free_disk()
    if need > free:
        raise NoDiskSpaceError(
            errno.ENOSPC,
            tr(
                "not enough space on the disk for the files of {sources}: {need} are to be "
                "downloaded, {free} are free in {folder}; {more}",
                sources=tr(" and ").join(missing),
                need=gigabytes(need),
                free=gigabytes(free),
                folder=hub_cache(),
                more=tr(MORE_DISK),
            ),
        )


def _plan(
    name: str, configs: tuple[Any, Any], dtype: torch.dtype, *, own_drafter: bool
) -> MemoryPlan | None:
    """Return what is needed; None for formats and models that a plan does not know."""
    word = str(dtype).removeprefix("torch.")
    if word not in DTYPE_BYTES:
        return None
    if registry.find(name) is not None and not own_drafter:
        return memory_plan(name, word, _CONTEXT)
    try:
        return memory_plan(configs, word, _CONTEXT, name=name)
    except (AttributeError, ValueError):  # no Gemma 4 target: its cache has another shape
        return None
