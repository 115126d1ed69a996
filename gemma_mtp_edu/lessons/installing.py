"""Bring what the course needs into an environment that has most of it, and say when to restart.

Colab and Kaggle come with hundreds of packages, many of them loaded before the first cell runs. So
only what is missing or unsuitable is installed, and three packages are never replaced at all.
"""

import importlib
import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gemma_mtp_edu.lessons.language import tr

# Built for the machine (torch, numpy) or for the service's own page (ipywidgets).
KEPT = ("torch", "numpy", "ipywidgets")
# These move together with transformers, so its release decides about theirs.
_FOLLOWERS = ("accelerate", "safetensors")
# What an install may replace while the kernel already holds the old one.
_REPLACEABLE = (
    "transformers", "huggingface_hub", "tokenizers", "safetensors", "accelerate",
    "matplotlib", "pandas", "psutil",
)  # fmt: skip


class NotReadyError(RuntimeError):
    """The lesson cannot go on before the learner has done something; one sentence says what."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this in place of a traceback, which would only hide the sentence.
        return [str(self)]


def requirements() -> list[Requirement]:
    """Return what the installed package says it needs; nothing where it runs uninstalled."""
    try:
        lines = importlib.metadata.requires("gemma-mtp-edu") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    needed = map(Requirement, lines)
    return [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]


def installed() -> dict[str, str]:
    """Return the version of every installed package, by its normal name."""
    # The first on the path is the one that is imported.
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        if name := distribution.metadata["Name"]:
            found.setdefault(canonicalize_name(name), distribution.version)
    return found


def lacking(needed: list[Requirement], have: Mapping[str, str]) -> list[Requirement]:
    """Return the requirements that no installed package fulfils.

    >>> wanted = [Requirement("numpy>=2,<3"), Requirement("torch>=2.8")]
    >>> [str(r) for r in lacking(wanted, {"numpy": "1.26.4", "torch": "2.11.0+cu128"})]
    ['numpy<3,>=2']
    """
    return [r for r in needed if not _fulfils(have.get(canonicalize_name(r.name)), r)]


def _fulfils(version: str | None, requirement: Requirement) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def install(needed: list[Requirement], how_to_restart: str) -> None:
    """Install what is missing or unsuitable and leave everything else as it is.

    Args:
        needed: All that the course needs.
        how_to_restart: What to click here, for the error's sentence.

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
    done = _pip(wanted, [r.name for r in needed if r not in wanted], have)
    importlib.invalidate_caches()
    if done.returncode:
        raise NotReadyError(
            tr(
                "pip could not install {wanted}: check that the internet is on and run this cell "
                "again; pip said: {said}",
                wanted=", ".join(map(str, wanted)),
                said=_last_words(done.stderr),
            )
        )


def _pip(
    wanted: list[Requirement], fulfilled: list[str], have: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    kept = [name for name in fulfilled if name not in _FOLLOWERS]
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "constraints.txt")
        pins.write_text(
            "".join(f"{name}=={have[canonicalize_name(name)]}\n" for name in kept), encoding="utf-8"
        )
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-color"]
        # Captured: pip's complaints about other packages of the service would only frighten.
        return subprocess.run(
            [*command, "--constraint", str(pins), *map(str, wanted)],
            capture_output=True,
            text=True,
            check=False,
        )


def _last_words(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "error:"))]
    return (errors or lines or ["nothing"])[-1]


def stale() -> list[str]:
    """Return one phrase for each module in memory that is older or newer than its files now are."""
    found = []
    for name in _REPLACEABLE:
        loaded = getattr(sys.modules.get(name), "__version__", None)
        if loaded is None:
            continue
        try:
            now = importlib.metadata.version(name)
            changed = Version(loaded).public != Version(now).public
        except (importlib.metadata.PackageNotFoundError, InvalidVersion):
            continue  # a build of the learner's own: not ours to judge
        if changed:
            found.append(
                tr(
                    "{name} {loaded} was imported before {now} was installed",
                    name=name,
                    loaded=loaded,
                    now=now,
                )
            )
    return found
