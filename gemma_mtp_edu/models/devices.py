"""Where a pair is loaded, and in which number format."""

import torch

from gemma_mtp_edu.lessons.language import tr


def choose_device(device: str = "auto") -> torch.device:
    """Return the device to load on: CUDA, then MPS, then CPU, or the one that is named.

    Raises:
        ValueError: There is no such device here.
    """
    if device != "auto":
        return _named(device)
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


def one_device(device: torch.device) -> torch.device:
    """Return the device, and where it means all GPUs, the current one of them."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def _named(device: str | torch.device) -> torch.device:
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise _unknown(device) from error
    counts = {
        "cpu": 1,
        "mps": int(torch.backends.mps.is_available()),
        "cuda": torch.cuda.device_count(),
    }
    count = counts.get(found.type)
    if count is None:  # torch knows it, such as "meta" and "xpu", but nothing here was tried on it
        raise _unknown(device)
    if (found.index or 0) >= count:
        raise ValueError(
            tr(
                "got device {device!r}, but torch sees {count} of that kind here: take "
                "device='auto', change to a runtime with that GPU, or install a torch built for it",
                device=device,
                count=count,
            )
        )
    return found


def _unknown(device: object) -> ValueError:
    return ValueError(
        tr(
            "got device {device!r}, need 'auto', 'cpu', 'mps', 'cuda', or 'cuda:1' for the "
            "second GPU",
            device=device,
        )
    )
