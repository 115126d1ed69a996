"""What a pair needs of memory and disk, what is free, and which pair to take."""

import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import torch

from gemma_mtp_edu.core.target import PREFILL_TOKENS
from gemma_mtp_edu.models.registry import PAIRS, find

CONTEXT = 2048  # tokens of prompt and answer, where the caller says nothing
_ROWS, _COPIES = 17, 4  # of a verify pass's logits, and their float32 copies at once
_PROFILE_BYTES = 2**28  # what an acceptance profile may take at once
_QUOTAS = ["{}/cpu.max"], ["cpu/{}/cpu.cfs_quota_us", "cpu/{}/cpu.cfs_period_us"]
_CGROUP, _GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_THREADS = torch.get_num_threads()  # the cores that this process may use, or what a learner chose


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a pair needs; the Python process itself comes on top."""

    name: str
    dtype: str
    parts: dict[str, int]  # bytes of target, drafter, cache (of the whole context), activations

    @property
    def total_bytes(self) -> int:
        """All parts together."""
        return sum(self.parts.values())

    def fits(self, free_bytes: float) -> bool:
        """Return whether the pair can be loaded and used with that much free memory."""
        return self.total_bytes <= free_bytes


def memory_plan(pair: str, dtype: Any = "bfloat16", context_length: int = CONTEXT) -> MemoryPlan:
    """Return what a registered pair (name or hub id) needs in a dtype (torch's, or its name)."""
    info, dtype = find(pair), str(dtype).removeprefix("torch.")
    if info is None:
        raise ValueError(f"no registered pair {pair!r}: need one of {', '.join(PAIRS)}")
    width = getattr(torch, dtype).itemsize
    parts = {"target": width * info.target, "drafter": width * info.drafter}
    # Keys and values; a sliding layer keeps no more than its window.
    numbers = (n * size * min(context_length, kept or sys.maxsize) for n, size, kept in info.cache)
    parts["cache"] = 2 * width * sum(numbers)
    # A prompt is read in chunks: of each the mask, one byte for every token of the context, and
    # gate, up and their product exist at once. Scores of attention count for kernels without any.
    prefill = min(context_length, PREFILL_TOKENS) * (width * 3 * info.widest + context_length)
    parts["activations"] = _PROFILE_BYTES + 4 * _ROWS * _COPIES * info.vocabulary + prefill
    return MemoryPlan(info.name, dtype, parts)


def gigabytes(size: float) -> str:
    """Return bytes in words, such as 10.2 GB and 0.02 GB, of 1e9 bytes; torch prints GiB."""
    return f"{size / 1e9:.{1 if size >= 1e9 else 2}f} GB"


def check_memory(name: str, configs: Any, device: torch.device, dtype: torch.dtype) -> bool:
    """Raise where a pair's weights do not fit in what is free; return whether it needs all GPUs."""
    from accelerate.utils import get_max_memory

    need = dtype.itemsize * sum(map(count_parameters, configs))
    free, several = free_memory(device), device.type == "cuda" and device.index is None
    everywhere = sum(get_max_memory().values()) if several else free
    if need > everywhere:
        told = f"{gigabytes(need)} for its weights in {dtype}, {gigabytes(everywhere)} are free"
        raise MemoryError(f"{name} needs {told}: take dtype='bfloat16', or a smaller pair")
    return several and 1.25 * need > free  # 1/4 more: room for the passes


def count_parameters(config: Any) -> int:
    """Return how many parameters a model has, from its configuration; nothing is allocated."""
    from transformers import AutoModelForCausalLM

    # Not accelerate's init_empty_weights, under which tied embeddings count twice.
    with torch.device("meta"):
        return int(AutoModelForCausalLM.from_config(config).num_parameters())


def check_disk(sources: list[str], patterns: list[str]) -> None:
    """Raise where what is still to be downloaded of hub ids does not fit on the disk."""
    from huggingface_hub import constants, snapshot_download

    need = 0
    for source in (source for source in sources if not Path(source).is_dir()):
        with suppress(OSError):  # not to be reached: the download itself says so
            files = snapshot_download(source, allow_patterns=patterns, dry_run=True)
            need += sum(file.file_size or 0 for file in files if file.will_download)
    if need and need > (free := shutil.disk_usage(constants.HF_HUB_CACHE).free):
        told = f"{gigabytes(need)} are to be downloaded, {gigabytes(free)} are free"
        raise OSError(f"{' and '.join(sources)}: {told}; free some, or set HF_HOME and restart")


def free_memory(device: torch.device) -> int:
    """Return bytes that new tensors can take: of the GPU, elsewhere of the machine or container."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = int(psutil.virtual_memory().available)
    with suppress(OSError, ValueError):  # no container, or the word max
        limit, used = (int((_CGROUP / f"memory.{n}").read_bytes()) for n in ("max", "current"))
        free = max(0, min(free, limit - used))
    return free


def usable_threads() -> int:
    """Return how many threads run at once here: a container may give a part of its cores."""
    groups, found = [Path()], [_THREADS]
    with suppress(OSError):  # not Linux
        for line in _GROUPS.read_text("utf-8").splitlines():  # as 0::/outer/inner
            inner = Path(line.partition(":/")[2])
            groups += [inner, *inner.parents]
    for group, names in product(groups, _QUOTAS):
        with suppress(OSError, ValueError):  # another version of cgroups, none, or the word max
            both = b" ".join((_CGROUP / name.format(group)).read_bytes() for name in names)
            quota, period = map(int, both.split())
            found.append(max(1, quota // period) if quota > 0 else _THREADS)
    return min(found)


def reset_peak_memory(device: torch.device) -> None:
    """Begin to measure anew; on a CPU the system keeps the peak of the whole process."""
    for index in range(torch.cuda.device_count() if device.type == "cuda" else 0):
        torch.cuda.reset_peak_memory_stats(index)


def peak_memory(device: torch.device) -> int:
    """Return bytes: the most that tensors held on all GPUs since the reset, or else the process."""
    if device.type == "cuda":
        return sum(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count())))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts in bytes, Linux in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
