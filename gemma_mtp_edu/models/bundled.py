"""The bundled pair's files, checked against their manifest before anything is loaded."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from gemma_mtp_edu.lessons.language import marked, tr

MANIFEST = "manifest.json"
_ABSENT = marked(
    "the bundled pair is not installed; install the package again, or build the pair with  "
    "make pocket"
)
_AGAIN = marked("install the package again")
_ALTERED = marked("the file is cut off or altered; install the package again")
_COPY = marked("copy the folder again, or delete its manifest.json if you altered files on purpose")


class DamagedPairError(RuntimeError):
    """A file of a pair is missing, cut off or altered.

    Attributes:
        remedy: What to do about a file in a manifest, with which the message ends; else empty.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


def bundled_folder() -> Path:
    """Return the folder of the bundled pair, with `target/` and `drafter/` in it."""
    return Path(__file__).parents[1] / "data" / "pocket"


def verified_folder() -> Path:
    """Return the bundled pair's folder after checking every file.

    Raises:
        DamagedPairError: A file is missing, cut off or altered.
    """
    folder = bundled_folder()
    _verify_once(folder, _stamps(folder))
    return folder


def verify_copy(folder: Path) -> None:
    """Check a folder that has our manifest, as a copy of the bundled pair has; pass any other.

    Raises:
        DamagedPairError: A file is missing, cut off or altered.
    """
    manifest = folder / MANIFEST
    # Other tools have files of that name.
    if manifest.is_file() and b'"sha256"' in manifest.read_bytes():
        _verify_once(folder, _stamps(folder))


def verify(folder: Path) -> None:
    """Compare every file that the manifest in `folder` lists with its sha256 sum.

    Raises:
        DamagedPairError: The manifest or a file is missing, or a sum differs.
    """
    ours = folder == bundled_folder()
    for name, expected in _sums(folder).items():
        path = _inside(folder, name)
        if not path.is_file():
            template = marked("{name} is missing from {folder}: {remedy}")
            raise _damaged(template, _AGAIN if ours else _COPY, name=name, folder=folder)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise _damaged(
                marked("{name} has sha256 {found}..., the manifest says {expected}...: {remedy}"),
                _ALTERED if ours else _COPY,
                name=name,
                found=found[:12],
                expected=expected[:12],
            )


@lru_cache(maxsize=8)
def _verify_once(folder: Path, stamps: frozenset[tuple[str, int, int]]) -> None:
    """Check a folder's files; not again in this process while their stamps stay as they are."""
    verify(folder)


def _stamps(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Return each file's name, time of change and size."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    stats = [path.stat() for path in files]
    return frozenset(
        (str(path), stat.st_mtime_ns, stat.st_size) for path, stat in zip(files, stats, strict=True)
    )


def _sums(folder: Path) -> dict[str, str]:
    """Return the sha256 sum of each file that the manifest lists."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        template = marked("no {name} in {folder}: {remedy}")
        raise _damaged(template, _ABSENT, name=MANIFEST, folder=folder)
    try:
        return dict(json.loads(manifest.read_text(encoding="utf-8"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(
            marked(
                "{name} in {folder} cannot be read ({error!r}): it is cut off or altered; {remedy}"
            ),
            _AGAIN if folder == bundled_folder() else _COPY,
            name=MANIFEST,
            folder=folder,
            error=error,
        ) from error


def _damaged(template: str, remedy: str, **values: object) -> DamagedPairError:
    """Return the error of a file in a manifest, whose message ends with what to do."""
    said = tr(remedy)
    return DamagedPairError(tr(template, remedy=said, **values), said)


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
