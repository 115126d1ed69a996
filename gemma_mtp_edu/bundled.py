"""The bundled pair's files, checked against their manifest before anything is loaded."""

import hashlib
import json
from functools import cache
from pathlib import Path

MANIFEST = "manifest.json"


class DamagedPairError(RuntimeError):
    """A file of a pair is missing, cut off or altered."""


def bundled_folder() -> Path:
    """Return the folder of the bundled pair, with `target/` and `drafter/` in it."""
    return Path(__file__).parent / "data" / "pocket"


@cache
def verified_folder() -> Path:
    """Return the bundled pair's folder after checking every file once per process.

    Raises:
        DamagedPairError: A file is missing, cut off or altered.
    """
    folder = bundled_folder()
    verify(folder)
    return folder


def verify(folder: Path) -> None:
    """Compare every file that the manifest in `folder` lists with its sha256 sum.

    Raises:
        DamagedPairError: The manifest or a file is missing, or a sum differs.
    """
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise DamagedPairError(
            f"no {MANIFEST} in {folder}: the bundled pair is not installed; install the package "
            "again, or build the pair with  make pocket"
        )
    try:
        sums: dict[str, str] = dict(json.loads(manifest.read_text(encoding="utf-8"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedPairError(
            f"{MANIFEST} in {folder} cannot be read ({error!r}): it is cut off or altered; install "
            "the package again"
        ) from error
    for name, expected in sums.items():
        path = _inside(folder, name)
        if not path.is_file():
            raise DamagedPairError(f"{name} is missing from {folder}: install the package again")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise DamagedPairError(
                f"{name} has sha256 {found[:12]}..., the manifest says {expected[:12]}...: the "
                "file is cut off or altered; install the package again"
            )


def _inside(folder: Path, name: str) -> Path:
    """Return where a name leads: by no link, no `..` and no absolute path out of the folder."""
    try:
        path = (folder / name).resolve()
    except ValueError as error:  # a zero byte
        raise DamagedPairError(f"{MANIFEST} names {name!r}, which is no name of a file") from error
    if folder.resolve() not in path.parents:
        raise DamagedPairError(f"{MANIFEST} names {name!r}, which lies outside of {folder}")
    return path
