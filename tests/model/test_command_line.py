"""`python -m gemma_mtp_edu demo`: the main job, from the shell."""

import os
import subprocess
import sys

import pytest

from gemma_mtp_edu.__main__ import main


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
