"""The folder of downloaded checkpoints: where it is, what is in it, how much room there is.

Only looks at files; huggingface_hub is asked where the folder is, if it can be imported.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from gemma_mtp_edu.lessons.language import marked


def hub_cache() -> Path:
    """Return the folder of downloaded checkpoints."""
    try:
        return Path(import_module("huggingface_hub.constants").HF_HUB_CACHE)
    except KeyboardInterrupt:
        raise
    except BaseException:  # absent or broken; the latter may raise anything
        home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
        return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if _is(path, Path.is_dir))


def in_the_way(folder: Path) -> Path | None:
    """Return the file that stands where the folder, or one above it, should be."""
    paths = (folder, *folder.absolute().parents)
    return next((path for path in paths if _is(path, Path.is_file)), None)


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # nobody may look
        return False


def free_disk() -> int:
    """Return bytes that are free where checkpoints go."""
    return shutil.disk_usage(existing(hub_cache())).free


def cached(repo_id: str, cache: Path | None = None) -> str:
    """Return "cached", "cached in part" or "not cached", in English; only the folder is looked at.

    Args:
        repo_id: A hub id.
        cache: The folder of downloaded checkpoints; by default the one that is in use.
    """
    try:
        snapshots = list(_folder(repo_id, cache).glob("snapshots/*"))
    except OSError:  # nobody may look
        snapshots = []
    if any(map(_is_complete, snapshots)):
        return marked("cached")
    return marked("cached in part") if snapshots else marked("not cached")


def missing_bytes(sizes: Mapping[str, int]) -> dict[str, int]:
    """Return how much of each checkpoint is still to be downloaded; those here whole are left out.

    Args:
        sizes: Bytes of a checkpoint's files, by hub id. Parts of files that are here count.
    """
    absent = [repo_id for repo_id in sizes if cached(repo_id) != "cached"]
    return {repo_id: max(0, sizes[repo_id] - _downloaded_bytes(repo_id)) for repo_id in absent}


def _downloaded_bytes(repo_id: str) -> int:
    blobs = _folder(repo_id, None) / "blobs"
    try:
        return sum(path.stat().st_size for path in blobs.glob("*") if path.is_file())
    except OSError:
        return 0


def _folder(repo_id: str, cache: Path | None) -> Path:
    return (cache or hub_cache()) / f"models--{repo_id.replace('/', '--')}"


def _is_complete(snapshot: Path) -> bool:
    """Return whether config and all weights are there; links to files that are gone are not."""
    index = snapshot / "model.safetensors.index.json"
    names = ["model.safetensors"]
    if index.is_file():
        try:
            names = sorted(
                set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            )
        except (ValueError, KeyError, TypeError, AttributeError):  # cut off while it was written
            return False
    return bool(names) and all((snapshot / name).is_file() for name in ("config.json", *names))
