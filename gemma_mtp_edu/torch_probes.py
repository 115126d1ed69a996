"""What of torch the doctor looks at: whether it loads, computes, in which dtype, and what fits."""

import shutil
import subprocess
import sys
from importlib import import_module
from typing import Any

from gemma_mtp_edu.findings import Finding
from gemma_mtp_edu.hub_cache import cached, free_disk
from gemma_mtp_edu.lesson import cpu
from gemma_mtp_edu.machine_probes import problem
from gemma_mtp_edu.memory_plan import gigabytes, memory_plan
from gemma_mtp_edu.registry import PAIRS, POCKET, PairInfo

TORCH, PAIRS_AREA = "torch", "pairs"
INSTALL = 'pip install "torch>=2.8,<2.15"  and restart Python'
_NATIVE_BF16 = 8
_LOAD_SECONDS = 120
_NAMES = ("float32", "bfloat16", "float16")


def loads() -> Finding:
    """Whether torch can be imported, in a Python of its own first, where it may crash."""
    if "torch" not in sys.modules and (crash := _crash("torch")):
        return Finding(TORCH, "torch", "fail", crash, INSTALL)
    torch = import_module("torch")
    if float(torch.ones(2, device="cpu").sum()) != 2.0:
        return Finding(TORCH, "torch", "fail", "cannot add", INSTALL)
    return Finding(TORCH, "torch", "ok", f"{torch.__version__} computes")


def device() -> Finding:
    """Which device is chosen, and whether it computes."""
    torch = import_module("torch")
    chosen = _device()
    fix = 'work on the CPU: set CUDA_VISIBLE_DEVICES="" before Python starts'
    try:
        product = torch.ones(8, 8, device=chosen) @ torch.ones(8, 8, device=chosen)
        wrong = "" if float(product.sum()) == 512.0 else "computes wrong numbers"
    except Exception as error:
        wrong = problem(error)
    if wrong:
        return Finding(TORCH, "device", "fail", f"{chosen}: {wrong}", fix)
    if chosen.type == "cuda":
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return Finding(TORCH, "device", "ok", f"CUDA: {', '.join(names)}")
    if chosen.type == "mps":
        return Finding(TORCH, "device", "ok", "MPS: Apple GPU")
    if shutil.which("nvidia-smi"):
        found = "CPU, though there is an NVIDIA driver: this torch cannot use the GPU"
        fix = "install a CUDA build of torch that fits the driver: pytorch.org/get-started"
        return Finding(TORCH, "device", "warning", found, fix)
    return Finding(TORCH, "device", "ok", cpu(torch.get_num_threads()))


def dtypes() -> list[Finding]:
    """Which number formats compute on the device, and which are only emulated there."""
    return [_dtype(name) for name in _NAMES]


def pairs() -> list[Finding]:
    """Which registered pairs fit here, with which dtype, and which are downloaded already."""
    torch = import_module("torch")
    memory = import_module("gemma_mtp_edu.memory")
    chosen = _device()
    devices = [chosen]
    if chosen.type == "cuda":  # a large pair is spread over all GPUs
        devices = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    free = sum(map(memory.free_memory, devices))
    auto = str(import_module("gemma_mtp_edu.devices").choose_dtype(chosen)).removeprefix("torch.")
    return [pair_finding(info, chosen.type, auto, free) for info in PAIRS.values()]


def bundled_pair() -> Finding:
    """Whether the files of the bundled pair are those of the manifest."""
    bundled = import_module("gemma_mtp_edu.bundled")
    try:
        bundled.verify(bundled.bundled_folder())
    except bundled.DamagedPairError as error:
        # Its message holds the folder, which is nobody's business in a shared report.
        folder = str(bundled.bundled_folder())
        found = str(error).replace(folder, "the package").split(": ")[0]
        return Finding(PAIRS_AREA, "files of pocket", "fail", found, "install the course again")
    return Finding(PAIRS_AREA, "files of pocket", "ok", "every file has its sha256 sum")


def _device() -> Any:
    return import_module("gemma_mtp_edu.devices").choose_device()


def _dtype(name: str) -> Finding:
    torch, chosen = import_module("torch"), _device()
    values = torch.linspace(-1, 1, 64, device=chosen).reshape(8, 8)
    wanted = (values @ values.T).cpu()
    try:
        half = values.to(getattr(torch, name))
        got = (half @ half.T).float().cpu()
    except Exception as error:
        return Finding(TORCH, name, "note", problem(error), "load_pair chooses another dtype")
    if not torch.allclose(got, wanted, atol=0.05):
        return Finding(TORCH, name, "note", "computes wrong numbers", "use dtype='float32'")
    capability = import_module("gemma_mtp_edu.memory").compute_capability(chosen)
    return native(name, chosen.type, capability)


def native(name: str, device_type: str, capability: tuple[int, int] | None) -> Finding:
    """Return the finding of a dtype that gives right numbers: does the GPU compute in it?

    Args:
        name: The dtype.
        device_type: "cuda", "mps" or "cpu".
        capability: Compute capability of an NVIDIA GPU, else None.
    """
    if name == "bfloat16" and capability is not None and capability[0] < _NATIVE_BF16:
        found = f"only emulated: compute capability {capability[0]}.{capability[1]}, needs 8.0"
        return Finding(TORCH, name, "note", found, "load_pair chooses float16 here")
    return Finding(TORCH, name, "ok", f"computes on {device_type}")


def pair_finding(info: PairInfo, device_type: str, auto: str, free: int) -> Finding:
    """Return the finding of a pair, for a kind of device, its dtype and its free bytes."""
    if info.name == POCKET:
        plan = memory_plan(POCKET, "float32")
        if plan.fits(free):
            return Finding(PAIRS_AREA, POCKET, "ok", f"fits in float32; {gigabytes(free)} free")
        found = f"needs {gigabytes(plan.total_bytes)}, {gigabytes(free)} free"
        return Finding(PAIRS_AREA, POCKET, "fail", found, "close other programs or kernels")
    dtypes = [auto] if device_type != "cpu" else [auto, "bfloat16"]
    plans = [memory_plan(info.name, dtype) for dtype in dtypes]
    fitting = next((plan for plan in plans if plan.fits(free)), None)
    if fitting is None:
        least = plans[-1]
        found = f"needs {gigabytes(least.total_bytes)} in {least.dtype}, {gigabytes(free)} free"
        fix = "pocket teaches the same; for this pair take a machine with more memory"
        return Finding(PAIRS_AREA, info.name, "note", found, fix)
    return _fitting(info, fitting.dtype, auto, gigabytes(fitting.total_bytes))


def _fitting(info: PairInfo, dtype: str, auto: str, need: str) -> Finding:
    """Return the finding of a pair that fits in memory: is it here, or is there room for it?"""
    states = {cached(info.target_id), cached(info.drafter_id)}
    state = states.pop() if len(states) == 1 else "cached in part"
    found = f"fits in {dtype} ({need}); {state}"
    stored = memory_plan(info.name, "bfloat16")
    size = stored.target_bytes + stored.drafter_bytes
    if state != "cached" and size > free_disk():
        fix = f"its files take {gigabytes(size)}: free some disk, or set HF_HOME to another one"
        return Finding(PAIRS_AREA, info.name, "note", found, fix)
    fixes = [] if dtype == auto else [f'load_pair("{info.name}", dtype="{dtype}")']
    if state != "cached":
        fixes.append(f"the first load_pair downloads {gigabytes(size)}")
    return Finding(PAIRS_AREA, info.name, "ok", found, "; ".join(fixes))


def _crash(module: str) -> str:
    """Return how an import of a module ends Python itself; nothing where it does not.

    An ordinary error is not a crash: it is seen again, and told, in this Python.
    """
    command = [sys.executable, "-c", f"import {module}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_LOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"loading {module} took longer than {_LOAD_SECONDS} s"
    if done.returncode not in (0, 1):  # 1: an ordinary error
        return f"loading {module} ends Python with exit code {done.returncode}"
    return ""
