"""`python -m gemma_mtp_edu`: the main job from the shell, and what it says where it cannot."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

import gemma_mtp_edu
from gemma_mtp_edu.__main__ import main
from gemma_mtp_edu.measure import bench
from tests.cases import cases, posix
from tools.document import part
from tools.figures import README, demo_output, picture_markdown, rounds_trace

PROGRAM = [sys.executable, "-m", "gemma_mtp_edu"]


def test_demo_shows_text_rounds_passes_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--prompt", "Count from 3 to 12."]) == 0
    out = capsys.readouterr().out
    told = ["3, 4, 5, 6, 7, 8, 9, 10, 11, 12", "round   1", "target passes: ", "saved)", "time: "]
    told += ["accepted: draft that the target agreed with", "text: identical to plain generation"]
    assert [text for text in told if text not in out] == []


def test_demo_says_what_works_where_the_answer_is_that_it_cannot(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for prompt, told in (("What is the weather in Berlin?", True), ("Count from 3 to 12.", False)):
        assert main(["demo", "--prompt", prompt]) == 0
        assert ("Six kinds of prompts work" in capsys.readouterr().out) is told


def test_hostile_prompts_reach_the_model_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "\"$HOME\" `ls`; 'x' \\ %s\n<turn|>"
    assert main(["demo", "--prompt", prompt, "--max-new-tokens", "2"]) == 0
    assert f"prompt: {prompt}" in capsys.readouterr().out
    assert main(["demo", "--prompt=--help", "--max-new-tokens", "2"]) == 0
    assert "prompt: --help" in capsys.readouterr().out


@cases
def test_errors_that_a_user_can_mend_are_a_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("error: ") and message in told


@cases
def test_errors_of_a_run_are_no_tracebacks(
    kind: str, text: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def failing(*args: object) -> None:
        raise resolve_name(kind)(text)

    monkeypatch.setattr(gemma_mtp_edu, "load_pair", failing)
    assert main(["demo", "--prompt", "Hi"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("error: ") and message in told


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gemma_mtp_edu, "load_pair", lambda *_: None)
    with pytest.raises(AttributeError):
        main(["demo", "--prompt", "Hi"])


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{gemma_mtp_edu.__version__}\n"
    assert main(["bench", "--help"]) == 0
    assert "--contexts" in capsys.readouterr().out


def test_quick_keeps_the_lengths_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = []
    monkeypatch.setattr(bench, "bench", lambda pair, texts, plan, **_: plans.append(plan))
    for lengths in (["--gammas", "2,3"], ["--gammas", "2", "3"], []):
        assert main(["bench", *lengths, "--quick"]) == 0
    assert plans == [bench.Plan((2, 3), 1), bench.Plan((2, 3), 1), bench.Plan((4,), 1)]


def test_a_language_that_there_is_not_is_english(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GEMMA_MTP_EDU_LANG", "fr")
    assert main(["demo", "--prompt", "Hi", "--max-new-tokens", "2"]) == 0
    out, told = capsys.readouterr()
    assert "target passes: " in out
    assert told.startswith("warning: got language 'fr'") and told.count("\n") == 1


def test_lab_opens_the_first_lesson(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str]) -> Any:
        ran.append(command)
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    assert main(["lab", "--no-browser"]) == 3
    monkeypatch.setenv("GEMMA_MTP_EDU_LANG", "ja")
    main(["lab"])
    assert ran[0][1:4] == ["-m", "jupyterlab", "--no-browser"]
    lessons = [Path(command[-1]) for command in ran]
    assert all(lesson.is_file() for lesson in lessons)
    assert [lesson.parent.name for lesson in lessons] == ["notebooks", "ja"]


# What README.md shows of the bundled pair is what it does: `make figures` brings it up to date.


def test_the_demo_prints_what_the_readme_shows() -> None:
    shown = part(README.read_text(encoding="utf-8"), "demo")
    assert shown == f"```text\n{demo_output()}\n```"


def test_the_alt_text_of_the_picture_is_that_of_the_rounds() -> None:
    shown = part(README.read_text(encoding="utf-8"), "picture").splitlines()[0]
    # Only the image: the caption names the release that drew it.
    assert shown == picture_markdown(rounds_trace()).splitlines()[0]


# As a program.


def test_a_terminal_without_the_signs_gets_them_escaped() -> None:
    """Also of what was asked: a curly apostrophe, as phones and word processors put it."""
    command = [*PROGRAM, "demo", "--prompt", "What’s 3 to 5?", "--max-new-tokens", "8"]
    env = os.environ | {"PYTHONIOENCODING": "cp437"}
    told = subprocess.run(command, env=env, capture_output=True, check=True).stdout.decode("cp437")
    assert r"What\u2019s 3 to 5?" in told and "round   1" in told and "+ accepted" in told


@posix
@pytest.mark.parametrize("arguments", [["doctor"], ["demo", "--prompt", "Hi"], ["bench"]])
def test_an_interrupt_says_so_in_a_line(arguments: list[str], tmp_path: Path) -> None:
    """While torch is loaded, which makes an error of its own of what interrupts it."""
    begun = tmp_path / "begun"
    (tmp_path / "torch.py").write_text(
        f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\n"
        "try:\n    time.sleep(1000)\nexcept BaseException:\n    raise ImportError('a part')\n"
    )
    paths = os.pathsep.join((str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])))
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,  # as a terminal interrupts all that was started in it
        # A suite that was started with `&` ignores interrupts, and so would all that it starts.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not begun.exists() and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate()[1]
    assert (process.returncode, said) == (130, "interrupted\n")


@posix
def test_an_interrupt_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """As in a job that runs on when its terminal is closed."""
    (tmp_path / "torch.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    code = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        f"sys.path.insert(0, {str(tmp_path)!r}); sys.argv[1:] = ['demo', '--prompt', 'Hi']; "
        "runpy.run_module('gemma_mtp_edu', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "interrupted" not in done.stderr


@posix
@pytest.mark.parametrize("command", ["doctor", "demo --prompt Hi"])
def test_output_that_nobody_takes_is_no_traceback(command: str) -> None:
    program = f"{' '.join(PROGRAM)} {command}"
    full = subprocess.run(["bash", "-c", f"{program} > /dev/full"], capture_output=True)
    assert full.returncode == 2
    assert full.stderr.startswith(b"error: ") and full.stderr.count(b"\n") == 1
    script = f"{program} | true; exit ${{PIPESTATUS[0]}}"
    gone = subprocess.run(["bash", "-c", script], capture_output=True)
    assert (gone.returncode, gone.stderr) == (141, b"")
