"""Releases: the measured ones pass, the broken ones are refused with what to install."""

import ast
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gemma_mtp_edu.models import releases
from gemma_mtp_edu.models.releases import UnsupportedReleaseError, check_transformers

PACKAGE = Path(releases.__file__).parent
INSTALL = 'pip install "transformers>=5.20.2,<5.23"'


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
    assert INSTALL in str(raised.value)


def test_an_unreadable_release_is_refused() -> None:
    with pytest.raises(UnsupportedReleaseError, match="cannot read"):
        check_transformers("unknown")


def test_no_transformers_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setitem(sys.modules, "transformers", None)  # type: ignore[arg-type]
    monkeypatch.setattr(importlib.metadata, "version", absent)
    with pytest.raises(UnsupportedReleaseError, match="not installed") as raised:
        check_transformers()
    assert INSTALL in str(raised.value)


@pytest.fixture
def old_release(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python whose transformers is old and fails while it is loaded."""
    package, facts = tmp_path / "transformers", tmp_path / "transformers-5.12.1.dist-info"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('tokenizers<=0.23.0 is required')\n")
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: transformers\nVersion: 5.12.1\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(PACKAGE.parent)])}


def test_a_release_that_fails_while_loaded_is_refused_too(old_release: dict[str, str]) -> None:
    code = "from gemma_mtp_edu import load_pair"
    done = subprocess.run(
        [sys.executable, "-c", code], env=old_release, capture_output=True, text=True, check=False
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "UnsupportedReleaseError: got transformers 5.12.1" in last
    assert INSTALL in last


def test_the_commands_refuse_it_in_one_line(old_release: dict[str, str]) -> None:
    command = [sys.executable, "-m", "gemma_mtp_edu", "demo", "--prompt", "Hello"]
    done = subprocess.run(command, env=old_release, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: got transformers 5.12.1")
    assert len(done.stderr.splitlines()) == 1


def calls_of_a_cache(code: str) -> list[str]:
    """Return the calls that only some releases have: on a cache, not on our `Target`."""
    calls = [node.func for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call, ast.Attribute)]
    return [
        ast.unparse(call)
        for call in named
        if call.attr == "activate_past_recording"
        or (call.attr == "crop" and "cache" in ast.unparse(call.value))
    ]


def test_two_lines_depend_on_a_release_and_stand_here() -> None:
    found = {
        path.name: calls_of_a_cache(path.read_text(encoding="utf-8"))
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: calls for name, calls in found.items() if calls} == {
        "releases.py": ["cache.activate_past_recording", "cache.crop"]
    }
    marked = (PACKAGE / "releases.py").read_text(encoding="utf-8").count("# depends on the release")
    assert marked == 2
