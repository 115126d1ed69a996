"""Run tests on a copy with a fault in it; the checkout itself is never touched.

Each run is a fork of one process that has imported the large libraries, but nothing of the project:
so a run costs its tests, not the seconds that torch takes to load.
"""

import importlib
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from tools.mutation.faults import Fault, mutated

# transformers imports its parts on first use, so those that tests use are named.
PRELOADED = (
    "torch", "pandas", "matplotlib.pyplot", "hypothesis", "scipy.stats", "beartype", "jaxtyping",
    "accelerate", "ipywidgets", "PIL.Image", "selectolax.lexbor", "transformers.generation.utils",
    "transformers.models.gemma4.modeling_gemma4", "transformers.models.auto.modeling_auto",
    "transformers.models.gemma4_assistant.modeling_gemma4_assistant",
)  # fmt: skip
LONGEST = 240  # seconds; a fault that makes a loop endless is found by that
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "__pycache__", ".*_cache", ".hypothesis", "*.ipynb"
)
Verdict = Literal["caught", "missed", "broken"]


@dataclass(frozen=True, slots=True)
class Run:
    """What the tests said.

    Attributes:
        verdict: "caught" by a test that failed, "missed", or "broken": no test could be run.
        by: The test that failed first, or the last lines where none ran.
        seconds: How long it took.
    """

    verdict: Verdict
    by: str
    seconds: float


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """Give a copy of the checkout in a temporary folder."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(root, copy, ignore=_LEFT_OUT)
        yield copy


def run_fault(fault: Fault, copy: Path) -> Run:
    """Put a fault into the copy, run its tests, and take it out again.

    Raises:
        StaleFaultError: The fault does not apply any more.
    """
    path = copy / fault.file
    before, after = path.read_text(encoding="utf-8"), mutated(fault, copy)
    path.write_text(after, encoding="utf-8")
    try:
        return run_tests(fault.tests, copy)
    finally:
        path.write_text(before, encoding="utf-8")


def run_tests(arguments: Sequence[str], copy: Path) -> Run:
    """Run pytest in a fork."""
    log = copy / "pytest.log"
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _run_pytest(arguments, copy, log)  # does not return
    status = _wait(child, start + LONGEST)
    seconds = time.monotonic() - start
    if status is None:
        return Run("caught", "no end within the time", seconds)
    text = log.read_text(encoding="utf-8", errors="replace")
    code = os.waitstatus_to_exitcode(status)
    if code == 0:
        return Run("missed", "", seconds)
    failed = re.search(r"^FAILED (\S+)", text, re.MULTILINE)
    if code == 1 and failed:
        return Run("caught", failed[1].split("[")[0], seconds)
    return Run("broken", text[-2000:], seconds)


def _wait(child: int, deadline: float) -> int | None:
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run_pytest(arguments: Sequence[str], copy: Path, log: Path) -> None:
    code = 3
    try:
        with log.open("w", encoding="utf-8") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.chdir(copy)
        # Whatever this process knows of the project is the checkout's, not the copy's.
        for name in [
            n for n in sys.modules if n.split(".")[0] in ("gemma_mtp_edu", "tools", "tests")
        ]:
            del sys.modules[name]
        sys.path[:] = [str(copy), *(p for p in sys.path if p not in ("", str(copy)))]
        # Plugins of other packages cost seconds, and no test that belongs to a fault needs one.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        import pytest

        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *arguments]))
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def preload(names: Sequence[str] = PRELOADED) -> None:
    """Import what tests need of others, so that forks have it."""
    # A file that changes twice within a second must not be taken from its compiled copy.
    sys.dont_write_bytecode = True
    for name in ("pytest", *names):
        importlib.import_module(name)
