"""Where a pair is loaded, and in which number format."""

import torch


def choose_device(device: str = "auto") -> torch.device:
    """Return the device to load on: CUDA, then MPS, then CPU, or the one that is named."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def choose_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype for a large pair: bf16 where the GPU computes in it, else fp16; fp32 on CPU.

    `torch.cuda.is_bf16_supported()` says yes on a T4, which only emulates bf16, so the compute
    capability is asked: 8 and above have it.
    """
    if device.type == "cpu":
        return torch.float32
    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8:
        return torch.bfloat16
    return torch.float16
