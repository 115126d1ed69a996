"""Run the tests on other releases of transformers and torch, each really installed.

    python -m tools.releases quick    the oldest transformers, chosen tests; one refused release
    python -m tools.releases full     the whole default suite on each supported combination
    python -m tools.releases canary   the newest ones of the index, or those that are named: what
                                      works there, as a row of docs/releases.md

Environments are made below build/, from the packages that are here and what pip brings; they go
when the command ends. It needs a package index.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement

from gemma_mtp_edu.checkup import LIBRARY, RELEASES
from gemma_mtp_edu.models.compatibility import OLDEST, REQUIREMENT
from tools import fresh_environment
from tools.document import table, write_parts
from tools.fresh_environment import Environment
from tools.lessons import ROOT

FOLDER = ROOT / "build" / "releases"
DOCUMENT = ROOT / "docs" / "releases.md"
OFFLINE = "not hub and not gpu and not browser and not fresh and not binder"
# Both loops against each other, the library's own call, the tutorial: what a release can change.
QUICK_TESTS = (
    "tests/model/test_tutorial.py",
    "tests/model/test_custom.py",
    "tests/model/test_generate_options.py",
    "tests/model/test_reference.py::test_assisted_equals_plain_and_the_untraced_call",
    "tests/model/test_decoding.py::test_a_round_worked_by_hand",
    "tests/library/test_library.py",
    "tests/unit/test_releases.py",
)
REFUSED = ("5.23.0", "5.19.0", "5.12.1")


@dataclass(frozen=True, slots=True)
class Combination:
    """Releases that are tested together."""

    transformers: str
    torch: str

    def __str__(self) -> str:
        return f"transformers {self.transformers}, torch {self.torch}"


def pins() -> dict[str, str]:
    """Return the exact releases that CI uses, by name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


NEWEST, TORCH = pins()["transformers"], pins()["torch"]
OTHER_TORCH = "2.15.0"
LATEST = "the newest"
FULL = (
    Combination(str(OLDEST), TORCH),
    Combination(NEWEST, TORCH),
    Combination(NEWEST, OTHER_TORCH),
    Combination(str(OLDEST), OTHER_TORCH),
)


class ReleaseError(RuntimeError):
    """A supported release fails, or an unsupported one is not refused."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one form, and print a line for each release; exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.releases", description=__doc__)
    parser.add_argument("form", choices=("quick", "full", "canary"))
    parser.add_argument("--torch", help="only the combinations with this torch")
    parser.add_argument("--transformers", help="only the combinations with this transformers")
    parser.add_argument("--tests", nargs="+", help="tests to run instead, as pytest takes them")
    args = parser.parse_args(arguments)
    if args.form == "canary":
        combination = Combination(args.transformers or LATEST, args.torch or LATEST)
        return 0 if _told(f"{combination}", lambda: canary(combination)) else 1
    quick = args.form == "quick"
    tests = args.tests or (QUICK_TESTS if quick else ("tests",))
    chosen = [
        combination
        for combination in (FULL[:1] if quick else FULL)
        if args.torch in (None, combination.torch)
        and args.transformers in (None, combination.transformers)
    ]
    results = [_told(f"{c}", lambda c=c: check_supported(c, tests)) for c in chosen]
    for version in REFUSED[:1] if quick else REFUSED:
        results.append(_told(f"transformers {version}", lambda v=version: check_refused(v)))
    return 0 if all(results) else 1


def check_supported(combination: Combination, tests: Sequence[str]) -> str:
    """Install a combination, run tests on it, and return pytest's last line.

    Raises:
        ReleaseError: A test failed, or it could not be installed.
    """
    with _environment(combination) as environment:
        command = [str(environment.python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = _run(environment, [*command, "-m", OFFLINE, *tests])
    lines = done.stdout.strip().splitlines() or [done.stderr]
    if done.returncode:
        raise ReleaseError("\n".join(lines[-30:]))
    return lines[-1]


def check_refused(version: str) -> str:
    """Install an unsupported release, and return how the package refuses it.

    Raises:
        ReleaseError: It is not refused, or not with what to install; or it cannot be installed.
    """
    with _environment(Combination(version, TORCH)) as environment:
        python = str(environment.python)
        done = _run(environment, [python, "-m", "gemma_mtp_edu", "demo", "--prompt", "Hello"])
        code = "import gemma_mtp_edu; gemma_mtp_edu.load_pair()"
        last = _run(environment, [python, "-c", code]).stderr.strip().splitlines()[-1:]
    said = done.stderr.strip()
    if done.returncode != 2 or f"got transformers {version}" not in said or REQUIREMENT not in said:
        raise ReleaseError(f"not refused: exit code {done.returncode}, {said or done.stdout}")
    if "UnsupportedReleaseError" not in str(last) or REQUIREMENT not in str(last):
        raise ReleaseError(f"load_pair() says {last}")
    return f"refused: {REQUIREMENT}"


def canary(combination: Combination) -> str:
    """Measure the library in a combination, test the course on it, and write down both.

    Raises:
        ReleaseError: A test failed, or it could not be installed or measured.
    """
    with _environment(combination) as environment:
        python, release = str(environment.python), environment.version("transformers")
        measured = _run(environment, [python, "-m", "tests.library.write"])
        if measured.returncode:
            raise ReleaseError(measured.stderr[-2000:])
        tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", OFFLINE]
        done = _run(environment, [*tests, *QUICK_TESTS])
    rows = json.loads(RELEASES.read_text(encoding="utf-8"))
    rows[release]["course"] = said = done.stdout.strip().rpartition("\n")[2].partition(" in ")[0]
    RELEASES.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    write_parts(DOCUMENT, {"releases": release_table(rows)})
    print("\n".join(f"{name:40}{holds}" for name, holds in rows[release]["parts"].items()))
    if done.returncode:
        raise ReleaseError(f"transformers {release}: {done.stdout[-3000:]}")
    return f"transformers {release}: {said}"


def release_table(rows: dict[str, Any]) -> str:
    """Return what works in Markdown, a row per release, the newest first."""
    signs, lines = {True: "yes", False: "**no**", None: ""}, []
    for release, row in reversed(rows.items()):
        supported = Requirement(REQUIREMENT).specifier.contains(release)
        told = [release, row["measured"].partition("torch ")[2]]
        told.append(row.get("course", "not run") if supported else "refused")
        lines.append([*told, *(signs[row["parts"].get(name)] for name in LIBRARY)])
    return table(["transformers", "torch", "this course", *LIBRARY], lines)


@contextmanager
def _environment(combination: Combination) -> Iterator[Environment]:
    """Make an environment with a combination of releases, and remove it afterwards."""
    folder = FOLDER / f"{combination.transformers}-{combination.torch}".replace(" ", "-")
    try:
        environment = fresh_environment.make(folder, [*pins(), "gemma-mtp-edu"])
        _install(environment, combination)
        yield environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _install(environment: Environment, combination: Combination) -> None:
    for name, wanted in (("transformers", combination.transformers), ("torch", combination.torch)):
        if environment.version(name).split("+")[0] != wanted:
            # Without what transformers asks for: 5.12.1 wants older tokenizers, which is its fault.
            alone = ["--no-deps"] if name == "transformers" else []
            how = ["--upgrade", name] if wanted == LATEST else [*alone, f"{name}=={wanted}"]
            try:
                environment.pip(*how)
            except RuntimeError as error:
                last = str(error).strip().splitlines()[-1]
                raise ReleaseError(
                    f"could not install {name} {wanted}; is a package index to be reached? {last}"
                ) from error


def _run(environment: Environment, command: list[str]) -> subprocess.CompletedProcess[str]:
    variables = environment.variables({"PYTHONPATH": str(ROOT)})
    return subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )


def _told(name: str, check: Callable[[], str]) -> bool:
    """Run a check, and print what came of it."""
    start = time.monotonic()
    try:
        outcome, is_right = check(), True
    except ReleaseError as error:
        outcome, is_right = str(error), False
    seconds = time.monotonic() - start
    print(f"{'ok  ' if is_right else 'FAIL'} {name} ({seconds:.0f} s): {outcome}", flush=True)
    return is_right


if __name__ == "__main__":
    sys.exit(main())
