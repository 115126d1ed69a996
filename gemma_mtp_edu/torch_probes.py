"""What of torch the doctor looks at: whether it loads, computes, in which dtype, and what fits."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from gemma_mtp_edu.findings import Finding, OutOfTimeError, pip_install
from gemma_mtp_edu.lessons.language import called, tr
from gemma_mtp_edu.lessons.machine import cpu
from gemma_mtp_edu.machine_probes import problem
from gemma_mtp_edu.models.hub_cache import cached, free_disk, missing_bytes
from gemma_mtp_edu.models.memory_plan import gigabytes, memory_plan
from gemma_mtp_edu.models.registry import PAIRS, POCKET, PairInfo

TORCH, PAIRS_AREA = "torch", "pairs"
REQUIREMENT = '"torch>=2.8,<2.15"'
_NATIVE_BF16 = 8
_NAMES = ("float32", "bfloat16", "float16")


def loads(left: Callable[[], float]) -> Finding:
    """Whether torch can be imported, in a Python of its own first, where it may crash or hang.

    Args:
        left: Says how many seconds there are.

    Raises:
        OutOfTimeError: It took longer.
    """
    fix = pip_install(f"--force-reinstall {REQUIREMENT}")
    if "torch" not in sys.modules and (crash := _crash("torch", max(0.5, left()))):
        return Finding(TORCH, "torch", "fail", crash, fix)
    torch = import_module("torch")
    if float(torch.ones(2, device="cpu").sum()) != 2.0:
        return Finding(TORCH, "torch", "fail", tr("cannot add"), fix)
    return Finding(TORCH, "torch", "ok", tr("{version} computes", version=torch.__version__))


def device() -> Finding:
    """Which device is chosen, and whether it computes."""
    torch = import_module("torch")
    chosen = _device()
    fix = tr('work on the CPU: set CUDA_VISIBLE_DEVICES="" before Python starts')
    if chosen.type == "mps":
        fix = tr('work on the CPU: load_pair(device="cpu")')
    try:
        ones = torch.ones(8, 8, device=chosen, dtype=torch.float32)
        product = ones @ ones
        wrong = "" if float(product.sum()) == 512.0 else tr("computes wrong numbers")
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
        found = tr("CPU, though there is an NVIDIA driver: this torch cannot use the GPU")
        fix = tr("install a CUDA build of torch that fits the driver: pytorch.org/get-started")
        return Finding(TORCH, "device", "warning", found, fix)
    return Finding(TORCH, "device", "ok", cpu(torch.get_num_threads()))


def dtypes() -> list[Finding]:
    """Which number formats compute on the device, and which are only emulated there."""
    return [_dtype(name) for name in _NAMES]


def pairs() -> list[Finding]:
    """Which registered pairs fit here, with which dtype, and which are downloaded already."""
    torch = import_module("torch")
    memory = import_module("gemma_mtp_edu.models.memory")
    chosen = _device()
    devices = [chosen]
    if chosen.type == "cuda":  # a large pair is spread over all GPUs
        devices = [torch.device("cuda", i) for i in range(torch.cuda.device_count())]
    free = sum(map(memory.free_memory, devices))
    auto = str(import_module("gemma_mtp_edu.models.devices").choose_dtype(chosen)).removeprefix(
        "torch."
    )
    return [pair_finding(info, chosen.type, auto, free) for info in PAIRS.values()]


def bundled_pair() -> Finding:
    """Whether the files of the bundled pair are those of the manifest."""
    bundled = import_module("gemma_mtp_edu.models.bundled")
    again = tr("install the course again")
    try:
        bundled.verify(bundled.bundled_folder())
    except OSError as error:
        return Finding(PAIRS_AREA, "files of pocket", "fail", type(error).__name__, again)
    except bundled.DamagedPairError as error:
        # Its message holds the folder, which is nobody's business in a shared report.
        folder = str(bundled.bundled_folder())
        found = str(error).replace(folder, tr("the package")).removesuffix(error.remedy)
        return Finding(PAIRS_AREA, "files of pocket", "fail", found.rstrip(":;。 "), again)
    return Finding(PAIRS_AREA, "files of pocket", "ok", tr("every file has its sha256 sum"))


def _device() -> Any:
    return import_module("gemma_mtp_edu.models.devices").choose_device()


def _dtype(name: str) -> Finding:
    torch, chosen = import_module("torch"), _device()
    values = torch.linspace(-1, 1, 64, device=chosen, dtype=torch.float32).reshape(8, 8)
    wanted = (values @ values.T).cpu()
    try:
        half = values.to(getattr(torch, name))
        got = (half @ half.T).float().cpu()
    except Exception as error:
        return Finding(TORCH, name, "note", problem(error), tr("load_pair chooses another dtype"))
    if not torch.allclose(got, wanted, atol=0.05):
        fix = tr("use dtype='float32'")
        return Finding(TORCH, name, "note", tr("computes wrong numbers"), fix)
    on_nvidia = chosen.type == "cuda"
    capability = torch.cuda.get_device_capability(chosen) if on_nvidia else None
    return native(name, chosen.type, capability)


def native(name: str, device_type: str, capability: tuple[int, int] | None) -> Finding:
    """Return the finding of a dtype that gives right numbers: does the GPU compute in it?

    Args:
        name: The dtype.
        device_type: "cuda", "mps" or "cpu".
        capability: Compute capability of an NVIDIA GPU, else None.
    """
    if name == "bfloat16" and capability is not None and capability[0] < _NATIVE_BF16:
        found = tr(
            "only emulated: compute capability {major}.{minor}, needs 8.0",
            major=capability[0],
            minor=capability[1],
        )
        return Finding(TORCH, name, "note", found, tr("load_pair chooses float16 here"))
    return Finding(TORCH, name, "ok", tr("computes on {device}", device=device_type))


def pair_finding(info: PairInfo, device_type: str, auto: str, free: int) -> Finding:
    """Return the finding of a pair, for a kind of device, its dtype and its free bytes."""
    if info.name == POCKET:
        plan = memory_plan(POCKET, "float32")
        if plan.fits(free):
            found = tr("fits in float32; {free} free", free=gigabytes(free))
            return Finding(PAIRS_AREA, POCKET, "ok", found)
        need = gigabytes(plan.total_bytes)
        found = tr("needs {need}, {free} free", need=need, free=gigabytes(free))
        return Finding(PAIRS_AREA, POCKET, "fail", found, tr("close other programs or kernels"))
    dtypes = [auto] if device_type != "cpu" else [auto, "bfloat16"]
    plans = [memory_plan(info.name, dtype) for dtype in dtypes]
    fitting = next((plan for plan in plans if plan.fits(free)), None)
    plan = fitting or plans[-1]
    found = tr(
        "fits in {dtype} ({need}); {state}"
        if fitting
        else "needs {need} in {dtype}, {free} free; {state}",
        need=gigabytes(plan.total_bytes),
        dtype=plan.dtype,
        free=gigabytes(free),
        state=called(_state(info)),
    )
    if fitting is None:
        fix = tr("pocket teaches the same; for this pair take a machine with more memory")
        return Finding(PAIRS_AREA, info.name, "note", found, fix)
    missing, free_bytes = _missing_bytes(info), _free_disk()
    if free_bytes is not None and missing > free_bytes:
        fix = tr(
            "{size} are to be downloaded: free some disk, or set HF_HOME to another one",
            size=gigabytes(missing),
        )
        return Finding(PAIRS_AREA, info.name, "note", found, fix)
    fixes = [] if plan.dtype == auto else [f'load_pair("{info.name}", dtype="{plan.dtype}")']
    if missing:
        fixes.append(tr("the first load_pair downloads {size}", size=gigabytes(missing)))
    return Finding(PAIRS_AREA, info.name, "ok", found, tr("; ").join(fixes))


def _state(info: PairInfo) -> str:
    states = {cached(info.target_id), cached(info.drafter_id)}
    return states.pop() if len(states) == 1 else "cached in part"


def _missing_bytes(info: PairInfo) -> int:
    plan = memory_plan(info.name, "bfloat16")  # as the published ones are stored
    sizes = {info.target_id: plan.target_bytes, info.drafter_id: plan.drafter_bytes}
    return sum(missing_bytes(sizes).values())


def _free_disk() -> int | None:
    """Return free bytes where checkpoints go; None where nobody can say."""
    try:
        return free_disk()
    except OSError:
        return None


def _crash(module: str, seconds: float) -> str:
    """Return how an import of a module ends Python itself; nothing where it does not.

    An ordinary error is not a crash: it is seen again, and told, in this Python.

    Raises:
        OutOfTimeError: It took longer than so many seconds.
    """
    if not sys.executable:  # Python runs inside of another program
        return ""
    isolated = ["-I"] if sys.flags.isolated else []
    command = [sys.executable, *isolated, "-c", f"import {module}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        why = tr(
            "loading {module} took longer than {seconds:.0f} s", module=module, seconds=seconds
        )
        raise OutOfTimeError(why) from error
    if done.returncode not in (0, 1):  # 1: an ordinary error
        return tr(
            "loading {module} ends Python with exit code {code}",
            module=module,
            code=done.returncode,
        )
    return ""
