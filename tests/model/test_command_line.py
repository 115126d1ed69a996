"""`python -m gemma_mtp_edu demo`: the main job, from the shell."""

import os
import subprocess
import sys

import pytest
import torch
from jinja2 import TemplateError

from gemma_mtp_edu import bench, demo
from gemma_mtp_edu.__main__ import main
from gemma_mtp_edu.language import VARIABLE
from gemma_mtp_edu.sharing import BusyModelError


def test_demo_shows_text_rounds_passes_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--prompt", "Count from 3 to 12."]) == 0
    out = capsys.readouterr().out
    assert "3, 4, 5, 6, 7, 8, 9, 10, 11, 12" in out
    assert "round   1" in out
    assert "accepted: draft that the target agreed with" in out
    assert "target passes: " in out and "saved)" in out
    assert "time: " in out and "threads" in out
    assert "text: identical to plain generation" in out


def test_hostile_prompts_reach_the_model_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "\"$HOME\" `ls`; 'x' \\ %s\n<turn|>"
    assert main(["demo", "--prompt", prompt, "--max-new-tokens", "2"]) == 0
    assert f"prompt: {prompt}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", " "], "empty prompt"),
        (["--prompt", "x", "--pair", "pokcet"], "did you mean 'pocket'"),
        (["--prompt", "x", "--gamma", "0"], "gamma 0"),
    ],
)
def test_errors_that_a_user_can_mend(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")


def test_a_terminal_without_unicode_gets_ascii() -> None:
    command = [sys.executable, "-m", "gemma_mtp_edu", "demo", "--prompt", "Count from 3 to 5."]
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    assert b"[+ ," in done.stdout or b"[+ _" in done.stdout or b"[+ " in done.stdout


def test_options_that_need_a_file_of_prompts_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--drafter", "/nowhere", "--repeats", "10", "--contexts", "9"]) == 2
    assert "got --drafter, --repeats, --contexts without --prompts" in capsys.readouterr().err


def test_quick_keeps_the_lengths_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = []
    monkeypatch.setattr(bench, "run", lambda pair, plan, out: plans.append(plan))
    assert main(["bench", "--quick", "--gammas", "2", "3"]) == main(["bench", "--quick"]) == 0
    assert plans == [bench.Plan((2, 3), 1), bench.QUICK]


def test_a_language_that_there_is_not_does_not_stop_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, "xx")
    assert main(["demo", "--prompt", " "]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "got language 'xx', need one of 'en', 'ja'" in first
    assert second.startswith("error: got an empty prompt")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "take a smaller pair"),
        (BusyModelError("the drafter is being changed"), "the drafter is being changed"),
        (TemplateError("roles must alternate"), "roles must alternate"),
    ],
)
def test_errors_of_a_run_are_no_tracebacks(
    error: Exception,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(*args: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(demo, "run", failing)
    assert main(["demo", "--prompt", "Hi"]) == 2
    captured = capsys.readouterr().err
    assert captured.startswith("error: ")
    assert message in captured
