"""`doctor()`: does the pair load, do both loops give one text, which pairs fit, do widgets show?

Only the standard library is imported before a question needs more: what is absent or broken is a
finding. What the installed transformers gets wrong stands in a table that `tests/library` measures.
"""

import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Literal

from gemma_mtp_edu import for_console
from gemma_mtp_edu.lessons import language
from gemma_mtp_edu.lessons.language import called, marked, tr
from gemma_mtp_edu.models.files import without_tokens

Status = Literal["ok", "note", "warning", "fail"]
SIGNS: dict[Status, str] = {"ok": "✓", "note": "•", "warning": "!", "fail": "✗"}
RELEASES = Path(__file__).parent / "data" / "releases.json"
# What a transformers release does right or not, and the lesson that shows a fault.
LIBRARY = {
    marked("builds a drafter"): "", marked("generates with a drafter"): "",
    marked("passes the right state"): "", marked("honours the schedule"): "09",
    marked("honours the number of drafts in a call"): "00", marked("samples without bias"): "05",
    marked("passes clean KV"): "06", marked("stops at a stop string"): "",
    marked("takes a batch"): "", marked("shares the KV of every target"): "",
}  # fmt: skip
_SAME = marked("same text with a drafter")
_AGAIN = marked("install the course again")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `found` and `fix` alone are in the learner's language."""

    area: str
    name: str
    status: Status
    found: str
    fix: str = ""

    def __post_init__(self) -> None:
        # Libraries' errors may hold the hub's token, the user's name or a terminal's commands.
        home = str(Path.home())
        for name in ("found", "fix"):
            said = without_tokens(getattr(self, name))
            text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said)
            object.__setattr__(self, name, text.replace(home, "~") if len(home) > 1 else text)


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """All findings in their order: `print` tells each, a notebook what is wrong."""

    findings: tuple[Finding, ...]
    seconds: float
    language: str = "en"

    @property
    def exit_code(self) -> int:
        """0 where the course runs here, else 1."""
        return int(any(finding.status == "fail" for finding in self.findings))

    def to_json(self) -> str:
        """Return everything as JSON; only `found` and `fix` are in the report's language."""
        facts = {"schema": 1, "runs": not self.exit_code, "exit_code": self.exit_code}
        return json.dumps({**facts, **asdict(self)}, indent=1)

    def __str__(self) -> str:
        return for_console("\n".join(self._lines()))

    def __repr__(self) -> str:
        wrong: tuple[Status, ...] = ("warning", "fail")  # a notebook shows these alone
        return for_console("\n".join(self._lines(wrong)))

    def _lines(self, told: Sequence[Status] = tuple(SIGNS)) -> Iterator[str]:
        """Yield the result, then each area with its counts, and its findings of some statuses."""
        with language.speaking(self.language):
            runs, rows = not self.exit_code, list[str]()
            for area, group in groupby(self.findings, attrgetter("area")):
                found = list(group)
                rows.append(f"{called(area).upper():52}{_counted(found)}")
                for f in (f for f in found if f.status in told):
                    row = f"{SIGNS[f.status]} {f.status:8}{called(f.name):42}{f.found}"
                    rows += [row.rstrip(), *[f"{'':10}-> {f.fix}"] * bool(f.fix)]
            answer = tr("the course runs here" if runs else "the course CANNOT run here yet")
            known = {"answer": answer, "numbers": _counted(self.findings), "seconds": self.seconds}
            yield from (tr("{answer} ({numbers}; {seconds:.1f} s)", **known), *rows)


def _counted(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.status for finding in findings)
    return ", ".join(f"{count} {status}" for status, count in counts.items())


# A question yields (name, status, found, fix); what it raises becomes a finding too.
Answer = tuple[str, Status, str, str]


def doctor() -> Report:
    """Look at this machine by doing what the course does: no error, no network, no change."""
    start, findings, broken = time.monotonic(), list[Finding](), ""
    questions = [
        ("machine", "packages", _packages),
        ("machine", "torch", _torch),
        ("pairs", "pairs", _pairs),
        ("pairs", _SAME, _both_loops),
        ("notebook", "ipywidgets", _widgets),
        (marked("transformers' own loop"), "release", _release),
    ]
    with (
        language.speaking(language.readable()),
        warnings.catch_warnings(action="ignore"),
        redirect_stdout(io.StringIO()),  # what libraries print is no part of the report
        redirect_stderr(io.StringIO()),
    ):
        for area, name, ask in questions:
            try:
                if area == "pairs" and broken:
                    found = tr("not checked: ") + tr("needs {name}", name=called(broken))
                    findings.append(Finding(area, name, "note", found))
                else:
                    findings.extend(Finding(area, *answer) for answer in ask())
            except (Exception, SystemExit) as error:  # a broken package may raise either
                absent = isinstance(error, ModuleNotFoundError) and error.name
                fix = _pip(absent.split(".")[0]) if absent else tr(_AGAIN)
                told = f"{type(error).__name__}: {error}".splitlines()[0]
                status: Status = "warning" if area == "notebook" else "fail"
                findings.append(Finding(area, name, status, told, fix))
            broken = broken or next((f.name for f in findings if f.status == "fail"), "")
        return Report(tuple(findings), time.monotonic() - start, language.current())


def _pip(*requirements: object) -> str:
    wanted = " ".join(f'"{requirement}"' for requirement in requirements)
    return tr("pip install {what}  and restart Python", what=wanted)


def _packages() -> Iterator[Answer]:
    """Compare what is installed with what the course declares."""
    yield "Python", "ok", platform.python_version(), ""
    from gemma_mtp_edu.lessons import setup as lesson

    have, needed = lesson.installed(), lesson.requirements()
    lacking = lesson.lacking(needed, have)
    absent = [r for r in lacking if r.name not in lesson.KEPT or r.name not in have]
    for r in lacking if not absent else ():
        yield r.name, "warning", f"{tr('{release} is untested', release=have[r.name])} ({r})", ""
    if absent:
        found = tr("not installed: {names}", names=", ".join(r.name for r in absent))
        yield "packages", "fail", found, _pip(*absent)
    else:
        yield "packages", "ok", tr("{count} are there", count=len(needed)), ""


def _torch() -> Iterator[Answer]:
    """Load torch in a Python of its own: a wrong build may crash it, or hang."""
    command = [sys.executable, "-c", "import torch"]
    if "torch" not in sys.modules:
        done = subprocess.run(command, capture_output=True, errors="replace", timeout=120)
        if done.returncode:
            found = tr("loading torch ends Python with exit code {code}", code=done.returncode)
            said = "".join(done.stderr.strip().splitlines()[-1:])
            fix = tr("install torch as pytorch.org/get-started says")
            yield "torch", "fail", f"{found} {said}".strip(), fix
            return
    yield "torch", "ok", importlib.metadata.version("torch"), ""


def _pairs() -> Iterator[Answer]:
    """Say of every registered pair whether it fits here, and in which dtype."""
    from gemma_mtp_edu.models import memory, pairs, registry

    device = pairs.choose_device()
    count, cores = memory.usable_threads(), os.cpu_count()
    told = tr("{count} at once, with {cores} cores; pocket takes 1", count=count, cores=cores)
    yield marked("threads"), "ok", told, "OMP_NUM_THREADS"
    free, auto = memory.free_memory(device), str(pairs.choose_dtype(device))
    for name in registry.PAIRS:
        dtypes = ["float32"] if name == "pocket" else [auto.removeprefix("torch."), "bfloat16"]
        made = [memory.memory_plan(name, dtype) for dtype in dtypes]
        plan = next((plan for plan in made if plan.fits(free)), made[-1])
        need, have = memory.gigabytes(plan.total_bytes), memory.gigabytes(free)
        found = tr("needs {need} in {dtype}, {free} free", need=need, dtype=plan.dtype, free=have)
        if plan.fits(free):
            call = f'load_pair("{name}", dtype="{plan.dtype}")' if plan is not made[0] else ""
            yield name, "ok", found, call
        else:
            fix = tr("take a machine with more memory")
            yield name, "fail" if name == "pocket" else "note", found, fix


def _both_loops() -> Iterator[Answer]:
    """Load the bundled pair, and compare our two loops with the library's plain one."""
    import gemma_mtp_edu as ours

    pair, prompt = ours.load_pair(), "Count from 3 to 12."
    yield "loads", "ok", tr("computes on {device}", device=pair.device), ""
    plain = ours.autoregressive_generate(pair, prompt, max_new_tokens=32).token_ids
    assisted = ours.speculative_generate(pair, prompt, max_new_tokens=32).token_ids
    library = ours.reference_generate(pair, prompt, assisted=False, max_new_tokens=32)
    if library.token_ids == plain == assisted:
        yield _SAME, "ok", tr("{count} of {count} tokens", count=len(plain)), ""
    else:
        yield _SAME, "fail", tr("greedy texts with and without drafter differ"), tr(_AGAIN)


def _widgets() -> Iterator[Answer]:
    """Make a widget, and look for the front end's half of it; without, lessons show figures."""
    import ipywidgets

    ipywidgets.IntSlider(value=3).close()
    yield "ipywidgets", "ok", tr("{release} makes a slider", release=ipywidgets.__version__), ""
    name = marked("widgets on the page")
    try:
        release = importlib.metadata.version("jupyterlab_widgets")
        yield name, "ok", tr("JupyterLab's widget manager {release}", release=release), ""
    except importlib.metadata.PackageNotFoundError:
        found = marked(
            "JupyterLab's widget manager is not in this Python; services bring their own"
        )
        yield name, "note", tr(found), ""


def _release() -> Iterator[Answer]:
    """Tell what the installed transformers was measured to do right and wrong."""
    release = importlib.metadata.version("transformers")
    rows = json.loads(RELEASES.read_text(encoding="utf-8"))
    if not (parts := rows.get(release, {}).get("parts", {})):
        from gemma_mtp_edu.models.compatibility import check_release

        told = "{release} is newer than tested, the check passed" if check_release() else ""
        yield "release", "note", tr(told or "{release} is untested", release=release), ""
    for name, holds in parts.items():
        found = tr("right in {release}" if holds else "wrong in {release}", release=release)
        lesson = "" if holds else LIBRARY[name]
        fix = tr("lesson {lesson} shows it", lesson=lesson) if lesson else ""
        yield name, "ok" if holds else "note", found, fix
