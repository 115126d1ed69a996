"""The bundled pair, loaded once; tests must leave it as they found it."""

import pytest

from gemma_mtp_edu import ModelPair, load_pair


@pytest.fixture(scope="session")
def pair() -> ModelPair:
    return load_pair()
