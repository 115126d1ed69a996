"""Peak memory of a device, as far as the system tells it."""

import sys

import psutil
import torch


def reset_peak_memory(device: torch.device) -> None:
    """Begin to measure anew; on a CPU the system keeps the peak of the whole process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Return bytes: on CUDA the most that tensors held since the reset, elsewhere the process's."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # not on Windows

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
