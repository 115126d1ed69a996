"""The manifest: every kind of damage to the files is seen before anything is loaded."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from gemma_mtp_edu.models import bundled
from gemma_mtp_edu.models.bundled import (
    DamagedPairError,
    bundled_folder,
    verified_folder,
    verify,
    verify_copy,
)


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


def test_files_that_change_are_checked_again_in_the_same_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundled, "bundled_folder", lambda: folder)
    assert verified_folder() == folder
    with monkeypatch.context() as patch:
        patch.setattr(bundled, "verify", lambda folder: pytest.fail("checked anew"))
        assert verified_folder() == folder
    (folder / "weights").write_bytes(b"12346")
    os.utime(folder / "weights", (0, 0))
    with pytest.raises(DamagedPairError, match="install the package again"):
        verified_folder()


def test_a_copy_with_a_manifest_is_checked_and_told_apart(folder: Path) -> None:
    verify_copy(folder)
    (folder / "weights").write_bytes(b"1234")
    with pytest.raises(DamagedPairError, match=r"copy the folder again, or delete its manifest"):
        verify_copy(folder)
    (folder / "manifest.json").write_text('{"made by": "another tool"}')
    verify_copy(folder)
    (folder / "manifest.json").unlink()
    verify_copy(folder)


def test_missing_files_are_refused(folder: Path) -> None:
    (folder / "weights").unlink()
    with pytest.raises(DamagedPairError, match="weights is missing"):
        verify(folder)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedPairError, match=r"no manifest\.json"):
        verify(tmp_path)


@pytest.mark.parametrize("name", ["../other", "/etc/hosts", ".", "", "a/../../other", "~/x\0y"])
def test_a_manifest_cannot_name_files_outside(folder: Path, name: str) -> None:
    (folder.parent / "other").write_bytes(b"secret")
    write_sums(folder, {name: hashlib.sha256(b"secret").hexdigest()})
    with pytest.raises(DamagedPairError, match=r"outside|no name of a file"):
        verify(folder)


@pytest.mark.parametrize("link", ["weights-link", "sub/weights"])
def test_a_link_out_of_the_folder_is_outside(folder: Path, tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "weights").write_bytes(b"12345")
    if "/" in link:
        (folder / "sub").symlink_to(elsewhere)
    else:
        (folder / link).symlink_to(elsewhere / "weights")
    write_sums(folder, {link: hashlib.sha256(b"12345").hexdigest()})
    with pytest.raises(DamagedPairError, match="outside"):
        verify(folder)


def test_a_link_inside_the_folder_is_a_file_like_any_other(folder: Path) -> None:
    (folder / "again").symlink_to(folder / "weights")
    write_sums(folder, {"again": hashlib.sha256(b"12345").hexdigest()})
    verify(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"sha256": 3}', '{"sha256": ["a"]}'])
def test_a_manifest_that_cannot_be_read_is_named(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DamagedPairError, match=r"manifest\.json in .* cannot be read"):
        verify(folder)


def write_sums(folder: Path, sums: dict[str, str]) -> None:
    (folder / "manifest.json").write_text(json.dumps({"sha256": sums}))
