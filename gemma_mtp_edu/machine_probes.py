"""What of the machine and its Python the doctor looks at, without torch and transformers.

Nothing is imported here before a probe needs it, because any of it may be absent or broken.
"""

import importlib.metadata
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from gemma_mtp_edu.findings import Finding, other_cache, pip_install
from gemma_mtp_edu.lessons import machine
from gemma_mtp_edu.lessons.language import called, tr
from gemma_mtp_edu.models.hub_cache import existing, free_disk, hub_cache, in_the_way

MACHINE, PACKAGES, NOTEBOOK = "machine", "packages", "notebook"
OLDEST_PYTHON = (3, 11)
LITTLE_DISK = 1e9
# What the package declares, by the name that is imported, apart from what needs torch; with
# something of each, because an empty folder can be imported too.
NEEDED = {
    "safetensors": "safe_open",
    "numpy": "ndarray",
    "pandas": "DataFrame",
    "matplotlib": "rcParams",
    "jinja2": "Template",
    "jaxtyping": "Float",
    "packaging": "__version__",
    "psutil": "virtual_memory",
    "tqdm": "tqdm",
}
# What transformers cannot be without, and says little about.
_BELOW = {"tokenizers": "Tokenizer", "huggingface_hub": "hf_hub_download"}
# These have probes of their own; absent, they are named here too: one command brings all.
_PROBED = ("torch", "transformers", "accelerate")
# The front end's own release (of @jupyter-widgets/jupyterlab-manager) for a release of ipywidgets.
_FRONT_ENDS = {7: 3, 8: 5}
_MANAGER = Path("@jupyter-widgets") / "jupyterlab-manager" / "package.json"


def python() -> Finding:
    """Whether Python is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= OLDEST_PYTHON:
        return Finding(MACHINE, "Python", "ok", found)
    fix = tr("use Python {wanted} or newer", wanted=".".join(map(str, OLDEST_PYTHON)))
    return Finding(MACHINE, "Python", "fail", found, fix)


def place() -> Finding:
    """Where this runs, and what to know about it."""
    where = machine.place()
    known = {
        "Colab": tr("for a GPU: Runtime > Change runtime type"),
        "Kaggle": tr("packages and checkpoints need Settings > Internet on"),
        "Binder": tr("about 2 GB of memory and no GPU: stay with pocket"),
    }
    hint = known.get(where, "")
    return Finding(MACHINE, "place", "note" if hint else "ok", called(where), hint)


def disk() -> Finding:
    """How much room there is where checkpoints go."""
    free = free_disk()
    found = tr("{free:.1f} GB free where checkpoints go", free=free / 1e9)
    if free >= LITTLE_DISK:
        return Finding(MACHINE, "disk", "ok", found)
    fix = tr("free some, or set HF_HOME to a folder on another disk before Python starts")
    return Finding(MACHINE, "disk", "warning", found, fix)


def hub() -> Finding:
    """Whether checkpoints can be fetched and kept; the network itself is not tried."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in {"1", "ON", "YES", "TRUE"}:
            found = tr("offline by {name}: cached pairs only", name=name)
            fix = tr("unset {name} and restart Python to download", name=name)
            return Finding(MACHINE, "hub", "note", found, fix)
    folder = hub_cache()
    if in_the_way(folder) or not os.access(existing(folder), os.W_OK):
        found = tr("the cache folder cannot be written to")
        return Finding(MACHINE, "hub", "warning", found, other_cache())
    return Finding(MACHINE, "hub", "ok", tr("cache can be written to; the network was not tried"))


def packages() -> list[Finding]:
    """Whether what the course imports is there; if all is, a finding for each that is broken."""
    if absent := [name for name in (*_PROBED, *NEEDED) if _is_absent(name)]:
        found = tr("not installed: {names}", names=", ".join(absent))
        return [Finding(PACKAGES, "packages", "fail", found, _install(absent))]
    known = (NEEDED | _BELOW).items()
    broken = [finding for name, part in known if (finding := _package(name, part))]
    found = tr("{names} load", names=", ".join(NEEDED))
    return broken or [Finding(PACKAGES, "packages", "ok", found)]


def accelerate() -> Finding:
    """Whether the package that places models on devices can be imported; it needs torch."""
    broken = _package("accelerate", "Accelerator")
    return broken or Finding(PACKAGES, "accelerate", "ok", tr("loads"))


def widgets() -> Finding:
    """Whether the kernel can make widgets."""
    fix = pip_install('"ipywidgets>=7.7,<9"')
    if not _is_absent("ipywidgets"):
        fix = pip_install('--force-reinstall "ipywidgets>=7.7,<9"')
    try:
        ipywidgets = import_module("ipywidgets")
        ipywidgets.IntSlider(value=3).close()
        release = str(ipywidgets.__version__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a broken package may raise anything, also SystemExit
        return Finding(NOTEBOOK, "ipywidgets", "warning", problem(error), fix)
    if int(release.split(".")[0]) in _FRONT_ENDS:
        found = tr("{release} makes a slider", release=release)
        return Finding(NOTEBOOK, "ipywidgets", "ok", found)
    found = tr("{release} is untested", release=release)
    return Finding(NOTEBOOK, "ipywidgets", "warning", found, fix)


def front_end() -> Finding:
    """Whether something can show widgets: JupyterLab's part, or a service that brings its own."""
    name = "widgets on the page"
    if machine.place() in {"Colab", "Kaggle"}:
        return Finding(NOTEBOOK, name, "ok", tr("this service brings its own"))
    release = _manager_release()
    kernel = int(importlib.metadata.version("ipywidgets").split(".")[0])
    if release and int(release.split(".")[0]) == _FRONT_ENDS.get(kernel):
        found = tr("JupyterLab's widget manager {release}", release=release)
        return Finding(NOTEBOOK, name, "ok", found)
    found = tr(
        "JupyterLab's widget manager {release} does not belong to ipywidgets {kernel}"
        if release
        else "JupyterLab's widget manager is not in this Python; VS Code brings its own",
        release=release,
        kernel=kernel,
    )
    fix = tr("where JupyterLab itself runs:  pip install --upgrade ipywidgets  and reload the page")
    return Finding(NOTEBOOK, name, "warning" if release else "note", found, fix)


def problem(error: BaseException) -> str:
    """Return an error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _package(name: str, part: str) -> Finding | None:
    """Return what is wrong with a package; `part` is something that it must have."""
    try:
        getattr(import_module(name), part)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a broken package may raise anything, also SystemExit
        fix = pip_install(f'--force-reinstall "{_requirement(name)}"')
        return Finding(PACKAGES, name, "fail", problem(error), fix)
    return None


def _is_absent(name: str) -> bool:
    try:
        return find_spec(name) is None
    except (ImportError, ValueError):  # something keeps it from being found
        return True


def _install(absent: Sequence[str]) -> str:
    if not _declared():
        return tr("in the course's folder:  {command}", command=pip_install('--editable ".[lab]"'))
    return pip_install(" ".join(f'"{_requirement(name)}"' for name in absent))


def _requirement(name: str) -> str:
    """Return what the project declares for a package, or its name where that is not known."""
    return next((line.split(";")[0].strip() for line in _declared() if line.startswith(name)), name)


def _declared() -> list[str]:
    """Return what the project says that it needs; nothing where it is used without an install."""
    try:
        return importlib.metadata.requires("gemma-mtp-edu") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _manager_release() -> str:
    """Return the release of JupyterLab's widget manager, or nothing where it is not installed."""
    try:
        folders = import_module("jupyter_core.paths").jupyter_path("labextensions")
    except Exception:
        folders = [str(Path(sys.prefix) / "share" / "jupyter" / "labextensions")]
    for folder in folders:
        manager = Path(folder) / _MANAGER
        if manager.is_file():
            return str(json.loads(manager.read_text(encoding="utf-8"))["version"])
    return ""
