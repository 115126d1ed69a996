"""What a pair needs of memory and disk, what is free, and which pair to take.

Libraries are imported on use only: plans are made where torch is absent or broken, too.
"""

import errno
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gemma_mtp_edu.models.registry import PAIRS, POCKET, find

if TYPE_CHECKING:
    import torch

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
CONTEXT = 2048  # tokens of prompt and answer, where the caller says nothing
# Rows of logits in a verify pass, and float32 copies of them that exist at once.
_ROWS, _COPIES = 17, 4
_PROFILE_BYTES = 2**28  # what an acceptance profile may take at once
_ROOM = 2 / 3
_CGROUP = Path("/sys/fs/cgroup")


class NotEnoughMemoryError(MemoryError):
    """A pair does not fit in the memory that is free."""


class NoDiskSpaceError(OSError):
    """There is no room on the disk for a pair's files."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a pair needs, by part, in bytes; the Python process itself comes on top.

    Working bytes are room to read a prompt of the whole context, to verify, and for an acceptance
    profile. Where a larger need of the whole pair is published, the difference is in them.
    """

    name: str
    dtype: str
    context_length: int  # tokens of prompt and answer together
    target_bytes: int
    drafter_bytes: int
    cache_bytes: int  # keys and values of the whole context
    working_bytes: int

    @property
    def parts(self) -> dict[str, int]:
        """The bytes by part: target, drafter, cache, working."""
        names = ("target", "drafter", "cache", "working")
        return {name: getattr(self, f"{name}_bytes") for name in names}

    @property
    def total_bytes(self) -> int:
        """All parts together."""
        return sum(self.parts.values())

    def fits(self, free_bytes: float) -> bool:
        """Return whether the pair can be loaded and used with that much free memory."""
        return self.total_bytes <= free_bytes


def memory_plan(pair: str, dtype: Any = "bfloat16", context_length: int = CONTEXT) -> MemoryPlan:
    """Return what a registered pair needs.

    Args:
        pair: Its name or hub id.
        dtype: "float32", "bfloat16", "float16", or the torch dtype.
        context_length: Tokens of prompt and answer together.
    """
    dtype, info = str(dtype).removeprefix("torch."), find(pair)
    if dtype not in DTYPE_BYTES:
        raise ValueError(f"got dtype {dtype!r}, need one of {', '.join(DTYPE_BYTES)}")
    if info is None:
        raise ValueError(f"no registered pair {pair!r}: need one of {', '.join(PAIRS)}")
    width, size = DTYPE_BYTES[dtype], info.size
    target, drafter = width * size.target, width * size.drafter
    cache = width * size.cache_numbers(context_length)
    # A prompt is read in one pass: gate, up and their product of all its tokens exist at once.
    prefill = width * 3 * size.widest * context_length
    working = _PROFILE_BYTES + 4 * _ROWS * _COPIES * size.vocabulary + prefill
    # The bundled pair's published figure is for float32, the others' for 16 bit.
    published = info.memory_gb * 1e9 * width / (4 if info.name == POCKET else 2)
    working = max(working, int(published) - target - drafter)
    return MemoryPlan(info.name, dtype, context_length, target, drafter, cache, working)


def pick_pair(
    free_bytes: float,
    compute_capability: tuple[int, int] | None,
    *,
    context_length: int = CONTEXT,
) -> tuple[str, str]:
    """Return the pair and dtype for a GPU; the bundled pair where there is none or it is too small.

    E2B is taken as soon as it fits. A larger pair is only worth its download and its slower steps
    where a third of the memory stays free for long contexts. `load_pair` takes both values.

    Args:
        free_bytes: Free memory of the GPU.
        compute_capability: Of an NVIDIA GPU, such as (7, 5) of a T4; None for any other device.
        context_length: Tokens of prompt and answer together.
    """
    picked = (POCKET, "float32")
    if compute_capability is None:
        return picked
    dtype = "bfloat16" if compute_capability >= (8, 0) else "float16"
    for name in PAIRS:
        room = free_bytes if name == "E2B" else _ROOM * free_bytes
        if name != POCKET and memory_plan(name, dtype, context_length).fits(room):
            picked = (name, dtype)
    return picked


def gigabytes(size: float) -> str:
    """Return bytes in words.

    >>> gigabytes(10_208_595_008), gigabytes(18_874_368)
    ('10.2 GB', '0.02 GB')
    """
    return f"{size / 1e9:.{1 if size >= 1e9 else 2}f} GB"


def check_memory(name: str, configs: Any, device: "torch.device", dtype: "torch.dtype") -> bool:
    """Raise where the weights of a pair do not fit in what is free.

    On CUDA without an index all GPUs are meant, and the CPU's memory takes what they cannot.

    Returns:
        Whether one device has a quarter more than that, for the cache and to work.
    """
    from accelerate.utils import get_max_memory

    need, free = dtype.itemsize * sum(map(count_parameters, configs)), free_memory(device)
    spread = device.type == "cuda" and device.index is None
    if need > (everywhere := sum(get_max_memory().values()) if spread else free):
        raise NotEnoughMemoryError(
            f"{name} needs {gigabytes(need)} for its weights in {dtype}, {gigabytes(everywhere)} "
            "are free: take dtype='bfloat16' or 'float16' if it is not one of them, a smaller pair "
            "(load_pair('pocket') needs 0.03 GB), or a larger GPU, and close what else holds memory"
        )
    return 1.25 * need <= free


def count_parameters(config: Any) -> int:
    """Return how many parameters a model has, from its configuration; nothing is allocated."""
    import torch
    from transformers import AutoModelForCausalLM

    # Not accelerate's init_empty_weights, under which tied embeddings count twice.
    with torch.device("meta"):
        return int(AutoModelForCausalLM.from_config(config).num_parameters())


def one_device(device: "torch.device") -> "torch.device":
    """Return the device, and where it means all GPUs, the current one of them."""
    import torch

    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def check_disk(sources: Sequence[str], patterns: list[str]) -> None:
    """Raise where what is still to be downloaded of hub ids does not fit on the disk."""
    from huggingface_hub import constants, snapshot_download

    need = 0
    for source in sources:
        with suppress(OSError):  # not to be reached: the download itself says so
            if not Path(source).is_dir():
                files = snapshot_download(source, allow_patterns=patterns, dry_run=True)
                need += sum(file.file_size or 0 for file in files if file.will_download)
    cache = Path(constants.HF_HUB_CACHE).absolute()
    free = shutil.disk_usage(next(p for p in (cache, *cache.parents) if p.is_dir())).free
    if need > free:
        raise NoDiskSpaceError(
            errno.ENOSPC,
            f"{' and '.join(sources)}: {gigabytes(need)} are to be downloaded, {gigabytes(free)} "
            f"are free in {cache}; free some, or set HF_HOME to a larger disk and restart Python",
        )


def free_memory(device: "torch.device") -> int:
    """Return bytes that new tensors can take: of the GPU, elsewhere of the machine or container."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return min(psutil.virtual_memory().available, _container_room())


def _container_room() -> int:
    """Return bytes that a container may still take; without a limit more than any machine has."""
    try:
        limit, used = ((_CGROUP / f"memory.{name}").read_text() for name in ("max", "current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):  # no container, or the word max
        return sys.maxsize


def compute_capability(device: "torch.device") -> tuple[int, int] | None:
    """Return an NVIDIA GPU's compute capability, such as (7, 5); None for any other device."""
    import torch

    return torch.cuda.get_device_capability(device) if device.type == "cuda" else None


def release_memory() -> None:
    """Give back what no variable holds any more, so that the next step can have it."""
    from accelerate.utils.memory import clear_device_cache

    clear_device_cache(garbage_collection=True)


def reset_peak_memory(device: "torch.device") -> None:
    """Begin to measure anew; on a CPU the system keeps the peak of the whole process."""
    import torch

    for index in range(torch.cuda.device_count() if device.type == "cuda" else 0):
        torch.cuda.reset_peak_memory_stats(index)


def peak_memory(device: "torch.device") -> int:
    """Return bytes: the most that tensors held on all GPUs since the reset, or else the process."""
    if device.type == "cuda":
        import torch

        return sum(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count())))
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not on Windows

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
