"""`doctor()`: does the pair load, do both loops give one text, which pairs fit, do widgets show?

Only the standard library is imported before a question needs more: what is absent or broken is a
finding. What the installed transformers gets wrong stands in a table that `tests/library` measures.
"""

import importlib.metadata
import io
import json
import platform
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Literal

from gemma_mtp_edu.lessons import language
from gemma_mtp_edu.lessons.language import called, marked, tr
from gemma_mtp_edu.models.files import without_tokens

Status = Literal["ok", "note", "warning", "fail"]
SIGNS: dict[Status, str] = {"ok": "✓", "note": "•", "warning": "!", "fail": "✗"}
RELEASES = Path(__file__).parent / "data" / "releases.json"
# What a transformers release does right or not, and the lesson that shows a fault.
LIBRARY = {
    marked("builds a drafter"): "", marked("generates with a drafter"): "",
    marked("hands over the right state"): "", marked("honours the schedule"): "09",
    marked("honours the number of drafts in a call"): "00", marked("samples without bias"): "05",
    marked("hands over clean KV"): "06", marked("stops at a stop string"): "",
    marked("takes a batch"): "", marked("shares the KV of every target"): "",
}  # fmt: skip
_NOT_CHECKED = marked("not checked: ")
_HEADS = (marked("status"), marked("what"), marked("found"), marked("what to do"))
_CELL = "style='padding:2px 8px;vertical-align:top;text-align:left'"
_AGAIN = marked("install the course again")
# Built for the machine, or for a service's own page: never installed over.
_KEPT = ("torch", "numpy", "ipywidgets")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `found` and `fix` alone are in the learner's language."""

    area: str
    name: str
    status: Status
    found: str
    fix: str = ""

    def __post_init__(self) -> None:
        # Errors of libraries are quoted, and may hold the hub's token or the user's name.
        home = str(Path.home())
        for name in ("found", "fix"):
            said = without_tokens(getattr(self, name))
            # No control character: what was found may not command the terminal.
            text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said)
            object.__setattr__(self, name, text.replace(home, "~") if len(home) > 1 else text)


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """All findings in their order: print it, show it in a notebook, or take `to_json()`."""

    findings: tuple[Finding, ...]
    seconds: float
    language: str = "en"

    @property
    def runs(self) -> bool:
        """Whether nothing was found that keeps the course from running."""
        return all(finding.status != "fail" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0 where the course runs here and all was checked, else 1."""
        with language.speaking(self.language):
            skipped = tr(_NOT_CHECKED)
        return int(not self.runs or any(f.found.startswith(skipped) for f in self.findings))

    @property
    def verdict(self) -> str:
        """The result in one line."""
        with language.speaking(self.language):
            answer = tr("the course runs here" if self.runs else "the course CANNOT run here yet")
            if self.runs and self.exit_code:
                answer = tr("nothing wrong so far, but not all was checked")
            counts = Counter(finding.status for finding in self.findings)
            return tr(
                "{answer} ({numbers}; {seconds:.1f} s)",
                answer=answer,
                numbers=", ".join(f"{count} {status}" for status, count in counts.items()),
                seconds=self.seconds,
            )

    def to_json(self) -> str:
        """Return everything as JSON; only `found` and `fix` are in the report's language."""
        facts = {"schema": 1, "runs": self.runs, "exit_code": self.exit_code, **asdict(self)}
        return json.dumps(facts, indent=1)

    def __repr__(self) -> str:
        rows = [(sign, name, f"{found}\n-> {fix}" if fix else found)
                for sign, name, found, fix in self._rows()]  # fmt: skip
        try:
            from rich.console import Console
            from rich.table import Column, Table
        except ImportError:  # one of the packages that may be absent
            return "\n".join([self.verdict, *map(" ".join, rows)])
        columns = [Column(overflow="fold") for _ in range(3)]
        table, page = Table.grid(*columns, padding=(0, 2, 0, 0)), io.StringIO()
        for row in rows:
            table.add_row(*row)
        Console(file=page, width=100, color_system=None, markup=False, emoji=False).print(table)
        return "\n".join([self.verdict, *map(str.rstrip, page.getvalue().splitlines())])

    def _repr_html_(self) -> str:
        def row(cells: tuple[str, ...], kind: str) -> str:
            shown = (f"<{kind} {_CELL}>{escape(cell)}</{kind.split()[0]}>" for cell in cells)
            return f"<tr>{''.join(shown)}</tr>"

        with language.speaking(self.language):
            lang, head = language.html_lang(), row(tuple(map(tr, _HEADS)), "th scope='col'")
        body = "".join(row(cells, "td") for cells in self._rows())
        return (
            f"<div{lang} class='mtp-doctor'><p>{escape(self.verdict)}</p>"
            f"<table><thead>{head}</thead><tbody>{body}</tbody></table></div>"
        )

    def _rows(self) -> Iterator[tuple[str, ...]]:
        area = ""
        with language.speaking(self.language):
            for f in self.findings:
                if f.area != area:
                    area = f.area
                    yield "", called(area).upper(), "", ""
                yield f"{SIGNS[f.status]} {f.status}", called(f.name), f.found, f.fix


# A question yields (name, status, found, fix); what it raises becomes a finding too.
Answer = tuple[str, Status, str, str]


def doctor() -> Report:
    """Look at this machine by doing what the course does. It never raises.

    No network is used, nothing is written or installed, and no setting is changed.
    """
    start, findings, failed = time.monotonic(), list[Finding](), set[str]()
    questions: list[tuple[str, str, Callable[[], Iterator[Answer]], str]] = [
        ("machine", "packages", _packages, ""),
        ("machine", "torch", _torch, ""),
        ("machine", "transformers", _transformers, ""),
        ("pairs", "pairs", _pairs, "torch packages"),
        ("pairs", "same text with a drafter", _both_loops, "packages torch transformers"),
        ("notebook", "ipywidgets", _widgets, ""),
        (marked("transformers' own loop"), "release", _release, ""),
    ]
    with (
        language.speaking(language.readable()),
        warnings.catch_warnings(action="ignore"),
        redirect_stdout(io.StringIO()),  # what libraries print is no part of the report
        redirect_stderr(io.StringIO()),
    ):
        for area, name, ask, needs in questions:
            missing = [need for need in needs.split() if need in failed]
            try:
                answers: Iterator[Answer] = ask()
                if missing:
                    found = tr(_NOT_CHECKED) + tr("needs {name}", name=called(missing[0]))
                    answers = iter([(name, "note", found, "")])
                findings.extend(Finding(area, *answer) for answer in answers)
            except (Exception, SystemExit) as error:  # a broken package may raise either
                absent = isinstance(error, ModuleNotFoundError) and error.name
                fix = _pip(absent.split(".")[0]) if absent else tr(_AGAIN)
                told = f"{type(error).__name__}: {error}".splitlines()[0]
                status: Status = "warning" if area == "notebook" else "fail"
                findings.append(Finding(area, name, status, told, fix))
            failed |= {f.name for f in findings if f.status == "fail"}
        return Report(tuple(findings), time.monotonic() - start, language.current())


def _pip(*requirements: object) -> str:
    wanted = " ".join(f'"{requirement}"' for requirement in requirements)
    return tr("pip install {what}  and restart Python", what=wanted)


def _packages() -> Iterator[Answer]:
    """Compare what is installed with what the course declares."""
    old = sys.version_info < (3, 11)
    fix = tr("use Python {wanted} or newer", wanted="3.11") if old else ""
    yield "Python", "fail" if old else "ok", platform.python_version(), fix
    lesson = import_module("gemma_mtp_edu.lessons.setup")
    have, needed = lesson.installed(), lesson.requirements()
    lacking = lesson.lacking(needed, have)
    if absent := [r for r in lacking if r.name not in _KEPT or r.name not in have]:
        found = tr("not installed: {names}", names=", ".join(r.name for r in absent))
        yield "packages", "fail", found, _pip(*absent)
        return
    for r in lacking:
        yield r.name, "warning", f"{tr('{release} is untested', release=have[r.name])} ({r})", ""
    yield "packages", "ok", tr("{count} are there", count=len(needed)), ""


def _torch() -> Iterator[Answer]:
    """Import torch, in a Python of its own first: a wrong build may crash it, or hang."""
    if "torch" not in sys.modules:
        command = [sys.executable, "-c", "import torch"]
        code = subprocess.run(command, capture_output=True, timeout=120).returncode
        if code not in (0, 1):  # 1 is an error that the import below will tell
            found = tr("loading torch ends Python with exit code {code}", code=code)
            yield "torch", "fail", found, tr("install torch as pytorch.org/get-started says")
            return
    torch, pairs = import_module("torch"), import_module("gemma_mtp_edu.models.pairs")
    device = pairs.choose_device()
    where = torch.cuda.get_device_name(0) if device.type == "cuda" else device.type
    yield "torch", "ok", f"{torch.__version__}, {where}", ""


def _transformers() -> Iterator[Answer]:
    releases = import_module("gemma_mtp_edu.models.compatibility")
    try:
        releases.check_transformers()
        yield "transformers", "ok", import_module("transformers").__version__, ""
    except releases.UnsupportedReleaseError as error:
        yield "transformers", "fail", str(error), _pip(releases.REQUIREMENT)


def _pairs() -> Iterator[Answer]:
    """Say of every registered pair whether it fits here, and in which dtype."""
    plans = import_module("gemma_mtp_edu.models.memory")
    devices = import_module("gemma_mtp_edu.models.pairs")
    device = devices.choose_device()
    free = plans.free_memory(device)
    auto = str(devices.choose_dtype(device)).removeprefix("torch.")
    for name in import_module("gemma_mtp_edu.models.registry").PAIRS:
        dtypes = ["float32"] if name == "pocket" else [auto, "bfloat16"]
        made = [plans.memory_plan(name, dtype) for dtype in dtypes]
        plan = next((plan for plan in made if plan.fits(free)), made[-1])
        fits = plan.fits(free)
        found = tr(
            "needs {need} in {dtype}, {free} free",
            dtype=plan.dtype,
            need=plans.gigabytes(plan.total_bytes),
            free=plans.gigabytes(free),
        )
        call = f'load_pair("{name}", dtype="{plan.dtype}")' if plan is not made[0] else ""
        status: Status = "ok" if fits else "fail" if name == "pocket" else "note"
        yield name, status, found, call if fits else tr("take a machine with more memory")


def _both_loops() -> Iterator[Answer]:
    """Load the bundled pair, and compare our two loops with the library's plain one."""
    ours, prompt = import_module("gemma_mtp_edu"), "Count from 3 to 12."
    pair = ours.load_pair()
    yield "loads", "ok", tr("computes on {device}", device=pair.device), ""
    library = ours.reference_generate(pair, prompt, assisted=False, max_new_tokens=32).token_ids
    plain = ours.autoregressive_generate(pair, prompt, max_new_tokens=32).token_ids
    assisted = ours.speculative_generate(pair, prompt, max_new_tokens=32).token_ids
    name = "same text with a drafter"
    if library == plain == assisted:
        yield name, "ok", tr("{count} of {count} tokens", count=len(plain)), ""
    else:
        yield name, "fail", tr("greedy texts with and without drafter differ"), tr(_AGAIN)


def _widgets() -> Iterator[Answer]:
    """Make a widget, and look for the front end's half of it; without, lessons show figures."""
    ipywidgets = import_module("ipywidgets")
    ipywidgets.IntSlider(value=3).close()
    yield "ipywidgets", "ok", tr("{release} makes a slider", release=ipywidgets.__version__), ""
    name, found = "widgets on the page", tr("this service brings its own")
    try:
        if import_module("gemma_mtp_edu.lessons.setup").place() not in ("Colab", "Kaggle"):
            release = importlib.metadata.version("jupyterlab_widgets")
            found = tr("JupyterLab's widget manager {release}", release=release)
        yield name, "ok", found, ""
    except importlib.metadata.PackageNotFoundError:
        found = tr("JupyterLab's widget manager is not in this Python; VS Code brings its own")
        yield name, "note", found, ""


def _release() -> Iterator[Answer]:
    """Tell what the installed transformers was measured to do right and wrong."""
    release = importlib.metadata.version("transformers")
    row = json.loads(RELEASES.read_text(encoding="utf-8")).get(release)
    if row is None:
        yield "release", "note", tr("{release} is untested", release=release), ""
    for name, holds in row["parts"].items() if row else ():
        found = tr("right in {release}" if holds else "wrong in {release}", release=release)
        lesson = "" if holds else LIBRARY[name]
        fix = tr("lesson {lesson} shows it", lesson=lesson) if lesson else ""
        yield name, "ok" if holds else "note", found, fix
