"""What every lesson calls first: bring what is missing, say where this runs, choose the language.

Colab and Kaggle come with hundreds of packages, many of them loaded before the first cell runs. So
only what is missing or unsuitable is installed, and three packages are never replaced at all.
"""

import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gemma_mtp_edu.lessons.language import called, marked, tr, use
from gemma_mtp_edu.models.compatibility import check_transformers

# Built for the machine (torch, numpy) or for the service's own page (ipywidgets).
KEPT = ("torch", "numpy", "ipywidgets")
SHOWN = ("torch", "transformers", "accelerate", "ipywidgets")
# These move together with transformers, so its release decides about theirs.
_FOLLOWERS = ("accelerate", "safetensors")
# What an install may replace while the kernel already holds the old one.
_REPLACEABLE = (
    "transformers", "huggingface_hub", "tokenizers", "safetensors", "accelerate",
    "matplotlib", "pandas", "psutil",
)  # fmt: skip
# Variables that the services set, VS Code for its notebooks alone. Kaggle comes first: its image is
# built on Colab's and may keep its variables.
_SIGNS = {
    "KAGGLE_KERNEL_RUN_TYPE": "Kaggle",
    "COLAB_RELEASE_TAG": "Colab",
    "BINDER_LAUNCH_HOST": "Binder",
    "BINDER_REPO_URL": "Binder",
    "VSCODE_PID": "VS Code",
}
_RESTART = {
    "Colab": marked("Runtime > Restart session"),
    "Kaggle": marked("Restart in the Run menu"),
    "VS Code": marked("Restart in the bar above the notebook"),
}


class NotReadyError(RuntimeError):
    """The lesson cannot go on before the learner has done something; one sentence says what."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this in place of a traceback, which would only hide the sentence.
        return [str(self)]


def setup(install: bool = False) -> None:
    """Print where this runs and which releases it uses.

    Args:
        install: Bring what is missing. A hosted service's environment is thrown away after the
            session, so there it is always brought; elsewhere only into an environment that the
            setup cell has just installed the course into.

    Raises:
        NotReadyError: Something is missing, or was imported before it was replaced.
        UnsupportedReleaseError: This transformers release cannot run an MTP drafter.
    """
    import gemma_mtp_edu

    here = place()
    how = tr(_RESTART.get(here, marked("Kernel > Restart Kernel")))
    needed = requirements()
    if install or here in ("Colab", "Kaggle"):
        bring(needed, how)
    if changed := _stale():
        raise NotReadyError(
            tr(
                "{changed}: restart the runtime ({how}) and run this cell again",
                changed=changed,
                how=how,
            )
        )
    have = installed()
    check_transformers(have.get("transformers"))
    if missing := lacking(needed, have):
        raise NotReadyError(
            tr(
                "the course lacks {wanted}: run  %pip install {wanted}  and restart ({how})",
                wanted=" ".join(f'"{requirement}"' for requirement in missing),
                how=how,
            )
        )
    print(
        tr(
            "gemma_mtp_edu {version} on {here}, {device}",
            version=gemma_mtp_edu.__version__,
            here=called(here),
            device=_device(),
        )
    )
    releases = (f"{name} {have.get(name) or tr('not installed')}" for name in SHOWN)
    print(f"Python {platform.python_version()}, {', '.join(releases)}")


def language(name: str) -> None:
    """Choose the language of what the package shows from here on, "en" or "ja", and say so in it.

    What figures draw stays English.

    Raises:
        ValueError: There is no such language.
    """
    use(name)
    print(tr("Texts are in English from here on."))


def place() -> str:
    """Return where the notebook runs: "Colab", "Kaggle", "Binder", "VS Code" or "local"."""
    found = next((name for sign, name in _SIGNS.items() if sign in os.environ), "local")
    return "Colab" if "google.colab" in sys.modules and found != "Kaggle" else found


def cpu(threads: int) -> str:
    """Return a CPU in words.

    >>> cpu(1), cpu(2)
    ('CPU, 1 thread', 'CPU, 2 threads')
    """
    return tr(
        "CPU, {threads} thread" if threads == 1 else "CPU, {threads} threads", threads=threads
    )


def requirements() -> list[Requirement]:
    """Return what the installed package says it needs; nothing where it runs uninstalled."""
    try:
        needed = map(Requirement, importlib.metadata.requires("gemma-mtp-edu") or [])
    except importlib.metadata.PackageNotFoundError:
        return []
    return [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]


def installed() -> dict[str, str]:
    """Return the version of every installed package, by its normal name."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        if name := distribution.metadata["Name"]:
            # The first on the path is the one that is imported.
            found.setdefault(canonicalize_name(name), distribution.version)
    return found


def lacking(needed: list[Requirement], have: Mapping[str, str]) -> list[Requirement]:
    """Return the requirements that no installed package fulfils.

    >>> wanted = [Requirement("numpy>=2,<3"), Requirement("torch>=2.8")]
    >>> [str(r) for r in lacking(wanted, {"numpy": "1.26.4", "torch": "2.11.0+cu128"})]
    ['numpy<3,>=2']
    """
    versions = [(r, have.get(canonicalize_name(r.name))) for r in needed]
    return [r for r, v in versions if v is None or not r.specifier.contains(v, prereleases=True)]


def bring(needed: list[Requirement], how_to_restart: str) -> None:
    """Install what is missing or unsuitable and leave everything else as it is.

    Raises:
        NotReadyError: A package that is never replaced is unsuitable, or pip failed.
    """
    have = installed()
    wanted = lacking(needed, have)
    for requirement in wanted:
        if requirement.name in KEPT and requirement.name in have:
            raise NotReadyError(
                tr(
                    "this runtime has {name} {version}, but the course needs {requirement}: run  "
                    '%pip install "{requirement}"  or take a newer runtime, then restart ({how}) '
                    "and run this cell again",
                    name=requirement.name,
                    version=have[requirement.name],
                    requirement=requirement,
                    how=how_to_restart,
                )
            )
    if not wanted:
        return
    kept = [r.name for r in needed if r not in wanted and r.name not in _FOLLOWERS]
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "constraints.txt")
        lines = (f"{name}=={have[canonicalize_name(name)]}\n" for name in kept)
        pins.write_text("".join(lines), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-color", "--constraint"]
        # Captured: pip's complaints about other packages of the service would only frighten.
        done = subprocess.run(
            [*command, str(pins), *map(str, wanted)], capture_output=True, text=True, check=False
        )
    importlib.invalidate_caches()
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in said if line.startswith(("ERROR:", "error:"))]
        raise NotReadyError(
            tr(
                "pip could not install {wanted}: check that the internet is on and run this cell "
                "again; pip said: {said}",
                wanted=", ".join(map(str, wanted)),
                said=(errors or said or ["nothing"])[-1],
            )
        )


def _stale() -> str:
    """Say which module in memory is older or newer than its files are now; one is enough."""
    for name in _REPLACEABLE:
        loaded = getattr(sys.modules.get(name), "__version__", None)
        try:
            now = importlib.metadata.version(name)
            if loaded and Version(loaded).public != Version(now).public:
                return tr(
                    "{name} {loaded} was imported before {now} was installed",
                    name=name,
                    loaded=loaded,
                    now=now,
                )
        except (importlib.metadata.PackageNotFoundError, InvalidVersion):
            continue  # a build of the learner's own: not ours to judge
    return ""


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    return "Apple GPU" if torch.backends.mps.is_available() else cpu(torch.get_num_threads())
