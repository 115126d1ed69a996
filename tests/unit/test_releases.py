"""Releases: the measured ones pass, the broken ones are refused with what to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gemma_mtp_edu
from gemma_mtp_edu.models.compatibility import (
    REQUIREMENT,
    UnsupportedReleaseError,
    check_transformers,
)

INSTALL = f'pip install "{REQUIREMENT}"'


@pytest.mark.parametrize("version", ["5.20.2", "5.21.0", "5.22.2", "5.24.0"])
def test_working_releases_pass(version: str) -> None:
    assert check_transformers(version) is None


@pytest.mark.parametrize(
    "version", ["4.57.1", "5.12.1", "5.17.0", "5.19.0", "5.23.0", "5.23.0.dev0"]
)
def test_broken_releases_are_refused(version: str) -> None:
    with pytest.raises(UnsupportedReleaseError) as raised:
        check_transformers(version)
    assert f"got transformers {version}" in str(raised.value)
    assert INSTALL in str(raised.value)


def test_a_release_that_fails_while_loaded_is_refused_too(tmp_path: Path) -> None:
    package, facts = tmp_path / "transformers", tmp_path / "transformers-5.12.1.dist-info"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('tokenizers<=0.23.0 is required')\n")
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 5.12.1\n")
    root = str(Path(gemma_mtp_edu.__file__).parents[1])
    old_release = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), root])}
    ways = (
        ("-c", "from gemma_mtp_edu import load_pair"),
        ("-m", "gemma_mtp_edu", "demo", "--prompt", "x"),
    )
    said = [
        subprocess.run([sys.executable, *way], env=old_release, capture_output=True, text=True)
        for way in ways
    ]
    last = said[0].stderr.strip().splitlines()[-1]
    assert "UnsupportedReleaseError: got transformers 5.12.1" in last
    assert INSTALL in last
    assert said[1].returncode == 2
    assert "error: got transformers 5.12.1" in said[1].stderr
    assert "Traceback" not in said[1].stderr
