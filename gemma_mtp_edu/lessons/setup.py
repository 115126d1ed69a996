"""What every lesson calls first: bring what is missing, say where this runs, choose the language.

Colab and Kaggle come with hundreds of packages, many of them loaded before the first cell runs. So
only what is missing or unsuitable is installed, and three packages are never replaced at all.
"""

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gemma_mtp_edu import __version__
from gemma_mtp_edu.lessons.language import VARIABLE, called, marked, speaking, tr
from gemma_mtp_edu.models import compatibility

# Built for the machine (torch, numpy) or for the service's own page (ipywidgets).
KEPT = ("torch", "numpy", "ipywidgets")
_SHOWN = ("torch", "transformers", "accelerate", "ipywidgets")
# These move together with transformers, so its release decides about theirs.
_FOLLOWERS = ("accelerate", "safetensors", "huggingface-hub")
# What an install may replace while the kernel already holds the old one.
_MOVED = ("transformers", "huggingface_hub", "tokenizers", *_FOLLOWERS, "matplotlib", "pandas")
# The variable that each service sets (VS Code for its notebooks alone), and how to restart there.
# Kaggle comes first: its image is built on Colab's and may keep its variables.
_PLACES = {
    "Kaggle": ("KAGGLE_KERNEL_RUN_TYPE", marked("Restart in the Run menu")),
    "Colab": ("COLAB_RELEASE_TAG", marked("Runtime > Restart session")),
    "Binder": ("BINDER_REPO_URL", marked("Kernel > Restart Kernel")),
    "VS Code": ("VSCODE_PID", marked("Restart in the bar above the notebook")),
}


class NotReadyError(RuntimeError):
    """The lesson cannot go on before the learner has done something; one sentence says what."""

    def __init__(self, sentence: str, **values: Any) -> None:
        super().__init__(tr(sentence, **values))

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this in place of a traceback, which would only hide the sentence.
        return [str(self)]


def setup() -> None:
    """Print where this runs and which releases it uses; a NotReadyError says what is to be done.

    A hosted service's environment is thrown away after the session, so there all is brought that is
    missing; elsewhere only where the setup cell has fetched the course, from git and alone.
    """
    here, needed = place(), requirements()
    how = tr(_PLACES.get(here, _PLACES["Binder"])[1])
    if needed and (here in ("Colab", "Kaggle") or fetched()):
        bring(needed, how)
    have = installed()
    compatibility.check_transformers(have.get("transformers"))
    for name in _MOVED:
        loaded = getattr(sys.modules.get(name), "__version__", None)
        now = have.get(canonicalize_name(name))
        if loaded and now and loaded.split("+")[0] != now.split("+")[0]:
            raise NotReadyError(
                "{name} {loaded} was imported before {now} was installed: restart the runtime "
                "({how}) and run this cell again",
                **{"name": name, "loaded": loaded, "now": now, "how": how},
            )
    if wanted := " ".join(f'"{requirement}"' for requirement in lacking(needed, have)):
        raise NotReadyError(
            "the course lacks {wanted}: run  %pip install {wanted}  and restart ({how})",
            **{"wanted": wanted, "how": how},
        )
    import torch

    n, device = torch.get_num_threads(), "Apple GPU"
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name(0)
    elif not torch.backends.mps.is_available():
        device = tr("CPU, {threads} thread" if n == 1 else "CPU, {threads} threads", threads=n)
    known = {"version": __version__, "here": called(here), "device": device}
    print(tr("gemma_mtp_edu {version} on {here}, {device}", **known))
    releases = (f"{name} {have.get(name) or tr('not installed')}" for name in _SHOWN)
    print(f"Python {platform.python_version()}, {', '.join(releases)}")
    try:
        if compatibility.check_release():
            newer = f"transformers {have['transformers']}"
            print(tr("{release} is newer than tested, the check passed", release=newer))
    except compatibility.UnsupportedReleaseError as error:
        print(error)  # raised again where a pair is loaded; a lesson without one goes on


def pair_or_records(name: str) -> tuple[Any, Any]:
    """Return a pair and None; where this transformers runs none, None and what was recorded."""
    try:
        return importlib.import_module("gemma_mtp_edu.models.pairs").load_pair(name), None
    except ImportError:  # an unsupported release; the setup cell has told what is wrong with it
        found = importlib.import_module("gemma_mtp_edu.lessons.records").read()
        told = marked("No pair runs here: what follows was recorded with {pair} on {hardware}.")
        print(tr(told, **found.cost.provenance))
        return None, found


def language(name: str) -> None:
    """Choose the language of all but figures from here on, "en" or "ja", and say so in it."""
    with speaking(name):
        print(tr("Texts are in English from here on."))
    os.environ[VARIABLE] = name  # not the context: a notebook's next cell may run in another


def place() -> str:
    """Return where the notebook runs: "Colab", "Kaggle", "Binder", "VS Code" or "local"."""
    return next((name for name, (sign, _) in _PLACES.items() if sign in os.environ), "local")


def fetched() -> bool:
    """Return whether pip brought the course from git, as the setup cell does, not from a clone."""
    course = importlib.metadata.distribution("gemma-mtp-edu")
    return '"vcs_info"' in (course.read_text("direct_url.json") or "")


def requirements() -> list[Requirement]:
    """Return what the installed package says it needs; nothing where it runs uninstalled."""
    try:
        needed = map(Requirement, importlib.metadata.requires("gemma-mtp-edu") or [])
    except importlib.metadata.PackageNotFoundError:
        return []
    return [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]


def installed() -> dict[str, str]:
    """Return the version of every installed package, by its normal name."""
    # Backwards: the first on the path is the one that is imported.
    found = reversed([*importlib.metadata.distributions()])
    return {canonicalize_name(d.name): d.version for d in found if d.metadata["Name"]}


def lacking(needed: list[Requirement], have: Mapping[str, str]) -> list[Requirement]:
    """Return the requirements that no installed package fulfils."""
    versions = [(r, have.get(r.name)) for r in needed]
    return [r for r, v in versions if v is None or not r.specifier.contains(v, prereleases=True)]


def bring(needed: list[Requirement], how: str) -> None:
    """Install what is missing or unsuitable and leave all else as it is; `how` to restart."""
    have = installed()
    wanted = lacking(needed, have)
    for r in wanted:
        if r.name in KEPT and r.name in have:
            raise NotReadyError(
                "this runtime has {name} {version}, but the course needs {requirement}: run  "
                '%pip install "{requirement}"  or take a newer runtime, then restart ({how}) '
                "and run this cell again",
                **{"name": r.name, "version": have[r.name], "requirement": r, "how": how},
            )
    if not wanted:
        return
    kept = {r.name for r in needed if r not in wanted}.difference(_FOLLOWERS)
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "constraints.txt")
        pins.write_text("\n".join(f"{name}=={have[name]}" for name in kept), "utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-color", "--constraint"]
        # Captured: pip's complaints about other packages of the service would only frighten.
        command += [str(pins), *map(str, wanted)]
        done = subprocess.run(command, capture_output=True, errors="replace")
    importlib.invalidate_caches()
    if done.returncode:
        said = re.findall("(?im)^error:.*", done.stderr) or re.findall(r"\w.*", done.stderr)
        raise NotReadyError(
            "pip could not install {wanted}: check that the internet is on and run this cell "
            "again; pip said: {said}",
            **{"wanted": ", ".join(map(str, wanted)), "said": (said or ["nothing"])[-1]},
        )
