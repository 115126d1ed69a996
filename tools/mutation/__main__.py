"""Put each fault into a copy of the package and see whether a test finds it: `make mutation`.

Each run is a fork of one process that has imported the large libraries, but nothing of the project:
so a run costs its tests, not the seconds that torch takes to load.
"""

import argparse
import importlib
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.mutation import faults as listed
from tools.mutation.faults import FAULTS, ROOT, TABLE, Fault, StaleFaultError, mutated

# transformers imports its parts on first use, so those that tests use are named.
PRELOADED = (
    "pytest", "torch", "pandas", "matplotlib.pyplot", "hypothesis", "scipy.stats", "beartype",
    "jaxtyping", "accelerate", "ipywidgets", "transformers.generation.utils",
    "transformers.models.gemma4.modeling_gemma4", "transformers.models.auto.modeling_auto",
    "transformers.models.gemma4_assistant.modeling_gemma4_assistant",
)  # fmt: skip
LONGEST = 240  # seconds; a fault that makes a loop endless is found by that
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "build", "__pycache__", ".*_cache", ".hypothesis", "*.ipynb"
)


class BrokenRunError(RuntimeError):
    """Tests could not be run, or fail without a fault; then they find nothing."""


def main() -> int:
    """Run the faults, print a line for each, and return 1 unless all of them are caught."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("words", nargs="*", help="only faults whose file or text has such a word")
    parser.add_argument("--faults", type=Path, default=FAULTS, help="the list")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout that is copied")
    parser.add_argument("--preload", nargs="*", default=PRELOADED, help="libraries to import once")
    args = parser.parse_args()
    faults = [f for f in listed.read_faults(args.faults) if _wanted(f, args.words)]
    # A file that changes twice within a second must not be taken from its compiled copy.
    sys.dont_write_bytecode = True
    for name in args.preload:
        importlib.import_module(name)
    try:
        for fault in faults:
            mutated(fault, args.root)
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "copy"
            shutil.copytree(args.root, copy, ignore=_LEFT_OUT)
            for tests in dict.fromkeys(fault.tests for fault in faults):
                if failed := first_failure(tests, copy):
                    raise BrokenRunError(f"without any fault, {failed} fails")
            caught_by = {fault: _told(fault, copy) for fault in faults}
    except (StaleFaultError, BrokenRunError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if (args.faults, args.root) == (FAULTS, ROOT) and not args.words:
        TABLE.write_text(listed.page(caught_by), encoding="utf-8")
    caught = sum(map(bool, caught_by.values()))
    print(f"{caught} of {len(faults)} faults caught")
    return int(caught < len(faults))


def _wanted(fault: Fault, words: list[str]) -> bool:
    return not words or any(word in f"{fault.file} {fault.old} {fault.why}" for word in words)


def _told(fault: Fault, copy: Path) -> str:
    """Put a fault into the copy, run its tests, take it out again, and print what came of it."""
    path, start = copy / fault.file, time.monotonic()
    before = path.read_text(encoding="utf-8")
    path.write_text(mutated(fault, copy), encoding="utf-8")
    try:
        by = first_failure(fault.tests, copy)
        verdict = "caught" if by else "missed"
    except BrokenRunError as error:
        print(error)
        by, verdict = "", "broken"
    finally:
        path.write_text(before, encoding="utf-8")
    seconds = time.monotonic() - start
    print(f"{verdict} {seconds:5.1f} s  {fault.file}: {fault.old.strip()}", flush=True)
    return by


def first_failure(arguments: Sequence[str], copy: Path) -> str:
    """Run pytest in a fork, and return the first test that failed; nothing where none did.

    Raises:
        BrokenRunError: No test could be run.
    """
    if not hasattr(os, "fork"):
        raise BrokenRunError("this system cannot fork: run it on Linux or macOS")
    log, deadline = copy / "pytest.log", time.monotonic() + LONGEST
    child = os.fork()
    if child == 0:
        _run_pytest(arguments, copy, log)  # does not return
    done = status = 0
    while not done and time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    if not done:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "no end within the time"
    text = log.read_text(encoding="utf-8", errors="replace")
    code = os.waitstatus_to_exitcode(status)
    failed = re.search(r"^FAILED (\S+)", text, re.MULTILINE)
    if code not in (0, 1) or (code == 1 and not failed):
        raise BrokenRunError(f"{' '.join(arguments)} did not run:\n{text[-2000:]}")
    return failed[1].split("[")[0] if failed else ""


def _run_pytest(arguments: Sequence[str], copy: Path, log: Path) -> None:
    code = 3
    try:
        with log.open("w", encoding="utf-8") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.chdir(copy)
        # Whatever this process knows of the project is the checkout's, not the copy's.
        for name in list(sys.modules):
            if name.split(".")[0] in ("gemma_mtp_edu", "tools", "tests"):
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


if __name__ == "__main__":
    sys.exit(main())
