"""Environments that hold chosen packages only, made in a second from the one that runs this.

A package's files are linked, not copied: pip removes a file before it writes another in its place,
so the environment that lends them is never changed. `files_of` tells whether pip touched a package.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.lessons import ROOT


@dataclass(frozen=True)
class Environment:
    """A virtual environment below `folder`."""

    folder: Path  # absolute: processes start in other folders

    @property
    def python(self) -> Path:
        """Its interpreter."""
        windows = sys.platform == "win32"
        return self.folder / ("Scripts/python.exe" if windows else "bin/python")

    @property
    def site_packages(self) -> Path:
        """Where its packages lie."""
        pattern = "Lib" if sys.platform == "win32" else "lib/python3*"
        (library,) = self.folder.glob(pattern)
        return library / "site-packages"

    def variables(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the variables for its processes: this process's, but no path to other packages."""
        own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return own | {"HF_HUB_OFFLINE": "1", "PYTHONNOUSERSITE": "1"} | dict(more or {})

    def pip(self, *arguments: str, folder: Path | None = None) -> None:
        """Install with its pip, in a folder that relative paths begin at.

        Raises:
            RuntimeError: It failed; the error ends with what it said.
        """
        command = [str(self.python), "-m", "pip", "install", "--quiet", "--no-compile"]
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            env=self.variables(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"pip install {' '.join(arguments)} failed:\n{done.stderr}")

    def version(self, name: str) -> str:
        """Return the version of an installed package."""
        return _distribution(name, [str(self.site_packages)]).version

    def files_of(self, name: str) -> dict[str, tuple[int, int]]:
        """Return the inode and time of every file of a package that is there."""
        found = {}
        for file in _files(_distribution(name, [str(self.site_packages)])):
            if file.exists():
                status = file.stat()
                found[str(file)] = (status.st_ino, status.st_mtime_ns)
        return found


def make(folder: Path, names: Iterable[str], without: Iterable[str] = ()) -> Environment:
    """Make an environment that holds packages and all that they need.

    Args:
        folder: Removed first, if it is there.
        names: Packages of the environment that runs this; pip always comes along.
        without: Packages that are left out although another needs them.
    """
    if folder.exists():
        shutil.rmtree(folder)
    venv.create(folder, symlinks=sys.platform != "win32")
    environment = Environment(folder)
    for name in sorted(closure([*names, "pip"], without)):
        _link(importlib.metadata.distribution(name), environment.site_packages)
    return environment


def closure(names: Iterable[str], without: Iterable[str] = ()) -> set[str]:
    """Return packages and all that they need, by normal name, as far as they are installed."""
    left = [(canonicalize_name(name), "") for name in names]
    seen: set[tuple[str, str]] = set()
    skipped = {canonicalize_name(name) for name in without}
    while left:
        name, extra = left.pop()
        if (name, extra) in seen or name in skipped:
            continue
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on other systems only
        seen.add((name, extra))
        for requirement in map(Requirement, lines):
            if _applies(requirement, extra):
                # CUDA builds of torch ask for their libraries as extras of one package.
                extras = ("", *requirement.extras)
                left += [(canonicalize_name(requirement.name), wanted) for wanted in extras]
    return {name for name, _ in seen}


def snapshot(folder: Path) -> str:
    """Commit the working tree, as it is, to a repository of its own, and return its address."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    author = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], [*author, "commit", "--quiet", "-mx"]):
        subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)
    return f"file://{folder}"


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _distribution(name: str, path: list[str]) -> importlib.metadata.Distribution:
    wanted = canonicalize_name(name)
    for distribution in importlib.metadata.distributions(path=path):
        if canonicalize_name(distribution.metadata["Name"]) == wanted:
            return distribution
    raise importlib.metadata.PackageNotFoundError(name)


def _files(distribution: importlib.metadata.Distribution) -> list[Path]:
    # Those beside the packages (commands, pages) are left out: nothing here calls them.
    names = [name for name in distribution.files or [] if ".." not in name.parts]
    return [Path(str(distribution.locate_file(name))) for name in names]


def _link(distribution: importlib.metadata.Distribution, site_packages: Path) -> None:
    base = Path(str(distribution.locate_file("")))
    for file in _files(distribution):
        if not file.exists():
            continue  # byte code that is listed but was never made
        target = site_packages / file.relative_to(base)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, target)
        except OSError:  # another disk
            shutil.copy2(file, target)
