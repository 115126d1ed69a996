"""The bundled pair's files, checked against their manifest before anything is loaded."""

import hashlib
import json
from functools import cache
from pathlib import Path

from gemma_mtp_edu.language import marked, tr

MANIFEST = "manifest.json"
_AGAIN = marked("install the package again")
_ALTERED = marked("the file is cut off or altered; install the package again")


class DamagedPairError(RuntimeError):
    """A file of a pair is missing, cut off or altered.

    Attributes:
        remedy: What to do about a bundled file, with which the message ends; else empty.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


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
        remedy = tr(
            "the bundled pair is not installed; install the package again, or build the pair with  "
            "make pocket"
        )
        raise DamagedPairError(
            tr(
                "no {name} in {folder}: {remedy}",
                name=MANIFEST,
                folder=folder,
                remedy=remedy,
            ),
            remedy,
        )
    try:
        sums: dict[str, str] = dict(json.loads(manifest.read_text(encoding="utf-8"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedPairError(
            tr(
                "{name} in {folder} cannot be read ({error!r}): it is cut off or altered; {remedy}",
                name=MANIFEST,
                folder=folder,
                error=error,
                remedy=tr(_AGAIN),
            ),
            tr(_AGAIN),
        ) from error
    for name, expected in sums.items():
        path = _inside(folder, name)
        if not path.is_file():
            raise DamagedPairError(
                tr(
                    "{name} is missing from {folder}: {remedy}",
                    name=name,
                    folder=folder,
                    remedy=tr(_AGAIN),
                ),
                tr(_AGAIN),
            )
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise DamagedPairError(
                tr(
                    "{name} has sha256 {found}..., the manifest says {expected}...: {remedy}",
                    name=name,
                    found=found[:12],
                    expected=expected[:12],
                    remedy=tr(_ALTERED),
                ),
                tr(_ALTERED),
            )


def _inside(folder: Path, name: str) -> Path:
    """Return where a name leads: by no link, no `..` and no absolute path out of the folder."""
    try:
        path = (folder / name).resolve()
    except ValueError as error:  # a zero byte
        raise DamagedPairError(
            tr(
                "{manifest} names {name!r}, which is no name of a file",
                manifest=MANIFEST,
                name=name,
            )
        ) from error
    if folder.resolve() not in path.parents:
        raise DamagedPairError(
            tr(
                "{manifest} names {name!r}, which lies outside of {folder}",
                manifest=MANIFEST,
                name=name,
                folder=folder,
            )
        )
    return path
