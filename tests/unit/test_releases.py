"""Releases: the measured ones pass, the broken ones are refused with what to install."""

import pytest

from gemma_mtp_edu.releases import UnsupportedReleaseError, check_transformers


@pytest.mark.parametrize("version", ["5.20.2", "5.21.0", "5.22.2"])
def test_working_releases_pass(version: str) -> None:
    assert check_transformers(version) is None


@pytest.mark.parametrize(
    "version", ["4.57.1", "5.12.1", "5.17.0", "5.19.0", "5.23.0", "5.23.0.dev0"]
)
def test_broken_releases_are_refused(version: str) -> None:
    with pytest.raises(UnsupportedReleaseError) as raised:
        check_transformers(version)
    assert version in str(raised.value)
    assert 'pip install "transformers>=5.20.2,<5.23"' in str(raised.value)


def test_an_unreadable_release_is_refused() -> None:
    with pytest.raises(UnsupportedReleaseError, match="cannot read"):
        check_transformers("unknown")
