"""`python -m gemma_mtp_edu demo`: the main job, from the shell."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import torch
from jinja2 import TemplateError

from gemma_mtp_edu import demo
from gemma_mtp_edu.__main__ import main
from gemma_mtp_edu.core.sharing import BusyModelError
from gemma_mtp_edu.lessons.language import VARIABLE
from gemma_mtp_edu.measure import bench


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


@pytest.mark.parametrize("seconds", [0.3, 2.0])
@pytest.mark.parametrize("arguments", [["doctor"], ["demo", "--prompt", "Hi"], ["bench"]])
def test_an_interrupt_says_so_in_a_line(arguments: list[str], seconds: float) -> None:
    """Also while libraries are loaded, which takes seconds."""
    # A mark on stderr once the command line has begun: before that it is Python that starts.
    code = (
        "import sys; from gemma_mtp_edu.__main__ import main; print('begun', file=sys.stderr, "
        f"flush=True); sys.exit(main({arguments!r}))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "begun\n"
        time.sleep(seconds)
        while True:  # Python loses one that comes while it calls back, so a user tries again
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                _, said = process.communicate(timeout=30)
                break
    if process.returncode:  # else it was done before
        assert (process.returncode, said.splitlines()[-1]) == (130, "interrupted")
        assert "Traceback" not in said or "Exception ignored" in said


@pytest.mark.parametrize("becomes", [ImportError("a part is missing"), None])
def test_an_interrupt_that_a_library_swallows_is_one_all_the_same(
    becomes: Exception | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An extension that is loaded just then may fail in its own words, or go on."""

    def loads(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if becomes is not None:
                raise becomes from None

    monkeypatch.setattr(demo, "run", loads)
    before = signal.getsignal(signal.SIGINT)
    assert main(["demo", "--prompt", "Hi"]) == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a job that runs on when its terminal is closed."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        monkeypatch.setattr(demo, "run", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        assert main(["demo", "--prompt", "Hi"]) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("command", ["doctor --seconds 600", "demo --prompt Hi"])
def test_output_that_nobody_takes_is_no_traceback(command: str) -> None:
    program = f"{sys.executable} -m gemma_mtp_edu {command}"
    done = subprocess.run(
        ["bash", "-c", f"{program} > /dev/full"], capture_output=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")
    assert b"Traceback" not in done.stderr
    script = f"{program} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
    assert done.returncode in (0, 141)
    assert done.stderr == b""


@pytest.mark.parametrize("seconds", ["nan", "-1", "0", "soon"])
def test_a_time_that_is_none_is_a_wrong_option(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--seconds", seconds])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--seconds" in said
    assert seconds == "soon" or "need a number of seconds above 0" in said
