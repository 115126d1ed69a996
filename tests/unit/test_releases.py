"""Releases: tested ones pass, broken ones are refused with what to install, newer are tried."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from packaging.version import Version

import gemma_mtp_edu
from gemma_mtp_edu import checkup, lesson
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.models import compatibility
from gemma_mtp_edu.models.compatibility import (
    REQUIREMENT,
    UnsupportedReleaseError,
    check_transformers,
)
from tests.cases import cases
from tests.unit.test_views import trace

INSTALL = f'pip install "{REQUIREMENT}"'


@pytest.mark.parametrize("version", ["5.20.2", "5.21.0", "5.22.2", "5.24.0"])
def test_working_releases_pass(version: str) -> None:
    assert check_transformers(version) == version


@cases
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


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed release is newer than all that were tested; gives where what passed stands."""
    monkeypatch.setattr(compatibility, "NEWEST", Version("5.20"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gemma_mtp_edu" / "passed.json"


def test_a_newer_release_is_tried_once(newer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.get_rng_state()
    assert compatibility.check_release() is True
    assert torch.equal(torch.get_rng_state(), state)
    assert compatibility._fault() == ""
    release = f"transformers {transformers.__version__}, torch {version('torch')}"
    assert json.loads(newer.read_text(encoding="utf-8")) == [release]
    monkeypatch.setattr(compatibility, "_fault", lambda: pytest.fail("tried again"))
    assert compatibility.check_release() is True
    newer.unlink()
    monkeypatch.setattr(compatibility, "NEWEST", Version(transformers.__version__))
    assert compatibility.check_release() is False, "a tested release is not tried"


@pytest.mark.parametrize("content", ["[", "7"])
def test_a_broken_note_of_what_passed_counts_as_none(newer: Path, content: str) -> None:
    newer.parent.mkdir()
    newer.write_text(content)
    assert compatibility.check_release() is True
    newer.unlink()
    newer.mkdir()  # cannot be written
    assert compatibility.check_release() is True


def fails_to_build(*given: Any, **named: Any) -> None:
    raise ValueError("the set of layer types\nis another")


def mixes_positions(self: MTPDrafter, newest: torch.Tensor, *given: Any) -> Any:
    states, hidden = STEP(self, newest, *given)
    return states, hidden.flip(1)


STEP = MTPDrafter.step


@pytest.mark.parametrize(
    ("whose", "name", "fault", "said"),
    [
        (transformers.Gemma4AssistantForCausalLM, "__init__", fails_to_build,
         r"building a drafter \(ValueError: the set of layer types\)"),
        (transformers.DynamicCache, "crop", lambda cache, tokens: None, "decoding as without "),
        (MTPDrafter, "step", mixes_positions, r"drafting from many .* \(AssertionError"),
    ],
)  # fmt: skip
def test_what_fails_is_told_and_what_needs_no_model_goes_on(
    newer: Path, whose: type, name: str, fault: Callable[..., Any], said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(whose, name, fault)
    fails = rf'fails in {said}.*: run  pip install "transformers==5\.20"  and .* replay, widgets'
    with pytest.raises(UnsupportedReleaseError, match=fails):
        gemma_mtp_edu.load_pair()
    lesson.setup()
    assert re.search(fails, capsys.readouterr().out.splitlines()[-1])
    assert not newer.exists()
    assert "fox" in gemma_mtp_edu.RoundViewer(trace()).view.value


def test_a_lesson_and_the_doctor_say_that_the_check_passed(
    newer: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson.setup()
    told = f"transformers {transformers.__version__} is newer than tested, the check passed"
    assert capsys.readouterr().out.splitlines()[-1] == told
    empty = newer.with_name("empty.json")
    empty.write_text("{}")
    monkeypatch.setattr(checkup, "RELEASES", empty)
    assert [told for _, _, told, _ in checkup._release()] == [told.removeprefix("transformers ")]
