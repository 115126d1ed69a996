"""Free and peak memory of a device, as far as the system tells it."""

import gc
import sys
from pathlib import Path

import psutil
import torch

_LIMIT, _USED = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"


def free_memory(device: torch.device) -> int:
    """Return bytes that new tensors can take: of the GPU, elsewhere of the machine or container."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return min(psutil.virtual_memory().available, container_room(Path(_LIMIT), Path(_USED)))


def container_room(limit: Path, used: Path) -> int:
    """Return bytes that a container may still take; without a limit more than any machine has.

    Args:
        limit: The control group's file with the limit in bytes, or the word max.
        used: The file with the bytes in use; cached files, which can be dropped, count too.
    """
    try:
        return max(0, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError):
        return sys.maxsize


def compute_capability(device: torch.device) -> tuple[int, int] | None:
    """Return an NVIDIA GPU's compute capability, such as (7, 5); None for any other device."""
    return torch.cuda.get_device_capability(device) if device.type == "cuda" else None


def release_memory(device: torch.device) -> None:
    """Give back what no variable holds any more, so that the next step can have it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def reset_peak_memory(device: torch.device) -> None:
    """Begin to measure anew; on a CPU the system keeps the peak of the whole process."""
    if device.type == "cuda":
        for index in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(index)


def peak_memory(device: torch.device) -> int:
    """Return bytes: on CUDA the most that tensors held since the reset, elsewhere the process's.

    A large pair lies on several GPUs, so all of them count; each has its own most.
    """
    if device.type == "cuda":
        return sum(map(torch.cuda.max_memory_allocated, range(torch.cuda.device_count())))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not on Windows

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
