"""The manifest: every kind of damage to the files is seen before anything is loaded."""

import hashlib
import json
from pathlib import Path

import pytest

from gemma_mtp_edu.bundled import DamagedPairError, bundled_folder, verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "weights").write_bytes(b"12345")
    sums = {"weights": hashlib.sha256(b"12345").hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps({"sha256": sums}))
    return tmp_path


def test_sound_files_pass(folder: Path) -> None:
    assert verify(folder) is None


def test_the_shipped_pair_is_sound_and_small() -> None:
    verify(bundled_folder())
    manifest = json.loads((bundled_folder() / "manifest.json").read_text())
    assert manifest["bytes"] <= 25_000_000
    shipped = {p for p in bundled_folder().rglob("*") if p.is_file()}
    listed = {bundled_folder() / name for name in manifest["sha256"]}
    assert {p.name for p in shipped - listed} <= {"manifest.json", "README.md"}


@pytest.mark.parametrize("damage", [b"1234", b"12346", b""])
def test_altered_and_cut_files_are_refused(folder: Path, damage: bytes) -> None:
    (folder / "weights").write_bytes(damage)
    with pytest.raises(DamagedPairError, match="weights has sha256"):
        verify(folder)


def test_missing_files_are_refused(folder: Path) -> None:
    (folder / "weights").unlink()
    with pytest.raises(DamagedPairError, match="weights is missing"):
        verify(folder)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedPairError, match=r"no manifest\.json"):
        verify(tmp_path)


def test_a_manifest_cannot_name_files_outside(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps({"sha256": {"../other": "0"}}))
    with pytest.raises(DamagedPairError, match="outside"):
        verify(folder)
