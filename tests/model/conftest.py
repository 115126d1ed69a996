"""The bundled pair, loaded once; tests must leave it as they found it."""

import shutil
from pathlib import Path

import pytest

from gemma_mtp_edu import ModelPair, load_pair
from gemma_mtp_edu.models.files import BUNDLED


@pytest.fixture(scope="session")
def pair() -> ModelPair:
    return load_pair()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pair of one's own: a copy without the manifest that compares it with the bundled one."""
    ignored = shutil.ignore_patterns("manifest.json")
    return Path(shutil.copytree(BUNDLED, tmp_path / "mine", ignore=ignored))
