"""The setup cell installs only what is missing and pins what must stay."""

import importlib.metadata
import importlib.util
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from gemma_mtp_edu import lesson
from tools.buttons import setup_cell


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record what would be run, in place of running it."""
    recorded: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: recorded.append(command))
    monkeypatch.setattr(lesson, "setup", lambda: None)
    return recorded


def run_cell() -> None:
    exec(setup_cell("me/fork"), {})


def test_nothing_is_installed_where_the_package_is(commands: list[list[str]]) -> None:
    run_cell()
    assert commands == []


def test_what_is_there_already_cannot_be_changed(
    commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = {
        "torch": "2.9.0+cu126",
        "ipywidgets": "7.7.1",
        "numpy": "2.0.2",
        "transformers": "5.0.0",
    }
    found = [SimpleNamespace(name=name, version=version) for name, version in there.items()]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: found)
    run_cell()
    (command,) = commands
    assert command[1:4] == ["-m", "pip", "install"]
    assert command[-1] == "git+https://github.com/me/fork"
    pins = Path(command[command.index("--constraint") + 1]).read_text()
    assert set(pins.split()) == {"torch==2.9.0+cu126", "ipywidgets==7.7.1", "numpy==2.0.2"}
