"""`doctor()`: what works here, found by trying it, and what to do about the rest.

Nothing heavy is imported before its own probe, and no probe can end the examination: torch or
transformers may be absent or broken, and then that is a finding.
"""

import contextlib
import io
import time
import warnings
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from threading import Thread
from typing import Any

from gemma_mtp_edu.core.arguments import got, real
from gemma_mtp_edu.findings import (
    BUILDS,
    LIBRARY,
    NOT_CHECKED,
    OURS,
    SAME_TEXT,
    Finding,
    OutOfTimeError,
    Report,
    Status,
    other_cache,
    pip_install,
)
from gemma_mtp_edu.lessons.language import (
    VARIABLE,
    called,
    catalogue,
    current,
    marked,
    readable,
    speaking,
    tr,
)

SECONDS = 20.0
MOST_SECONDS = 3600.0
_GRACE = 1.0  # what torch is waited for in a Python of its own ends before that
# What both loops are looked at for, and the ending of the probe's name.
_BEHAVIOURS = {
    marked("honours the schedule"): "schedule",
    marked("hands over the right state"): "state",
    marked("hands over clean KV"): "kv",
    marked("stops at a stop string"): "stop",
    marked("samples without bias"): "sampling",
}
# What else is called by a name that is not the same in every language.
NAMES = (
    marked("machine"), marked("notebook"), marked("packages"), marked("pairs"), marked("language"),
    marked("place"), marked("local"), marked("disk"), marked("hub"), marked("widgets on the page"),
    marked("device"), marked("dtypes"), marked("files of pocket"), marked("release"),
    marked("seconds"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Probe:
    """Something to look at.

    Attributes:
        area: What it belongs to.
        name: What it is called in the report.
        run: Returns what was found: one finding or several.
        needs: Names of probes without whose success this one makes no sense.
        status: Of the finding where the probe itself fails.
        fix: What to do then.
        may_hang: Whether it imports what may never come back.
    """

    area: str
    name: str
    run: Callable[[], Finding | list[Finding]]
    needs: tuple[str, ...] = ()
    status: Status = "fail"
    fix: str = ""
    may_hang: bool = False


def doctor(*, seconds: float = SECONDS) -> Report:
    """Look at this machine and its releases, by trying what the course does. It never raises.

    No network is used, nothing is written, and no setting is changed.

    Args:
        seconds: No probe begins later, and no import is waited for longer; what is left then is
            reported as not checked.

    Returns:
        The report: print it, show it in a notebook, or take `report.to_json()`. It is in the
        language of this call.
    """
    start = time.monotonic()
    findings = _language_finding()
    language = readable()
    failed: set[str] = set()
    with speaking(language):
        allowed = _allowed(seconds, findings)
        more = min(3 * allowed, MOST_SECONDS)
        fix = tr("give it more time: {call}", call=f"doctor(seconds={more:g})")

        def left() -> float:
            return start + allowed - time.monotonic()

        for probe in _probes(left):
            missing = [name for name in probe.needs if name in failed]
            if left() < 0:
                made = [_not_checked(probe, tr("time is up"), fix)]
            elif missing:
                made = [_not_checked(probe, tr("needs {name}", name=called(missing[0])))]
            else:
                made = examined(probe, left() + _GRACE if probe.may_hang else None, fix)
            if missing or any(finding.status == "fail" for finding in made):
                failed.add(probe.name)
            findings += made
    return Report(tuple(findings), time.monotonic() - start, language)


def _allowed(seconds: Any, findings: list[Finding]) -> float:
    """Return how long the examination may take; a finding is added where that was no number."""
    try:
        return checked_seconds(seconds)
    except Exception as error:  # also what cannot say what it is
        findings.append(Finding("machine", "seconds", "note", _one_line(error)))
        return SECONDS


def checked_seconds(seconds: Any) -> float:
    """Return a time for the examination.

    Raises:
        ValueError: It is none.
    """
    needed = tr("a number of seconds above 0, such as 20")
    number = real(seconds, "seconds", needed)
    if not 0 < number < float("inf"):
        raise ValueError(got(seconds, "seconds", needed))
    return min(number, MOST_SECONDS)


def _not_checked(probe: Probe, why: str, fix: str = "") -> Finding:
    return Finding(probe.area, probe.name, "note", tr(NOT_CHECKED) + why, fix)


def _language_finding() -> list[Finding]:
    """Return what is wrong with the choice of the language; nothing where nothing is."""
    try:
        catalogue(current())
    except (OSError, ValueError) as error:
        # In English: there is no other language to say it in.
        fix = f"set {VARIABLE} to en or ja, or install the course again"
        return [Finding("machine", "language", "fail", _one_line(error), fix)]
    return []


def examined(probe: Probe, seconds: float | None = None, more_time: str = "") -> list[Finding]:
    """Return what a probe finds; whatever it raises is a finding too.

    Args:
        probe: What to look at.
        seconds: How long to wait for it; None: until it is done.
        more_time: What to do where it takes too long.
    """
    with _silence():
        if seconds is None:
            return _looked_at(probe, more_time)
        made: list[Finding] = []
        # An import that hangs cannot be ended, only left behind.
        call = copy_context().run
        thread = Thread(
            target=call, args=(lambda: made.extend(_looked_at(probe, more_time)),), daemon=True
        )
        thread.start()
        thread.join(max(_GRACE, seconds))
        if thread.is_alive():
            return [_not_checked(probe, tr("it takes longer than there was time"), more_time)]
    return made


def _looked_at(probe: Probe, more_time: str) -> list[Finding]:
    try:
        made = probe.run()
    except KeyboardInterrupt:
        raise
    except OutOfTimeError as error:
        return [_not_checked(probe, str(error), more_time)]
    except BaseException as error:  # a broken package may raise anything, also SystemExit
        return [Finding(probe.area, probe.name, probe.status, _one_line(error), probe.fix)]
    return made if isinstance(made, list) else [made]


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what libraries print and warn about out of the report."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


def _one_line(error: BaseException) -> str:
    try:
        lines = str(error).strip().splitlines()
    except Exception:  # an error that cannot even say what it is
        lines = []
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _probes(left: Callable[[], float]) -> tuple[Probe, ...]:
    """Return all probes, the cheap ones first; `left` says how many seconds there are."""
    return (
        _machine("machine", "Python", "python", "fail"),
        _machine("machine", "place", "place", "note"),
        _machine("machine", "disk", "disk", "note", fix=other_cache()),
        _machine("machine", "hub", "hub", "note", fix=other_cache()),
        _machine("notebook", "ipywidgets", "widgets", "warning"),
        _machine("notebook", "widgets on the page", "front_end", "note", "ipywidgets"),
        _torch("torch", "torch", "loads", given=(left,)),
        _torch("torch", "device", "device", "torch"),
        _torch("torch", "dtypes", "dtypes", "torch", "device"),
        _machine("packages", "packages", "packages", "fail"),
        _machine("packages", "accelerate", "accelerate", "fail", "torch"),
        _torch("pairs", "files of pocket", "bundled_pair"),
        _torch("pairs", "pairs", "pairs", "torch", "device", "packages"),
        Probe("transformers", "release", _release, fix=_reinstall("packaging>=24,<28")),
        Probe("transformers", "transformers", _loads, ("torch",), fix=_reinstall(), may_hang=True),
        *_loop_probes(),
    )


def _machine(
    area: str, name: str, function: str, status: Status, *needs: str, fix: str = ""
) -> Probe:
    run = _later("machine_probes", function)
    return Probe(area, name, run, needs, status, fix, may_hang=True)


def _torch(area: str, name: str, function: str, *needs: str, given: tuple[Any, ...] = ()) -> Probe:
    run = _later("torch_probes", function, *given)
    return Probe(area, name, run, needs, "fail", _reinstall("torch>=2.8,<2.15"), may_hang=True)


def _loop_probes() -> Iterator[Probe]:
    """Yield what both loops do; they share the pair and the runs of one examination."""

    @cache
    def shared() -> Any:
        return import_module("gemma_mtp_edu.loop_probes").LoopProbes()

    def run(method: str) -> Callable[[], Finding]:
        def call() -> Finding:
            with import_module("gemma_mtp_edu.loop_probes").undisturbed():
                finding: Finding = getattr(shared(), method)()
                return finding

        return call

    remedy = _reinstall()
    use_ours = tr("use our loop: speculative_generate")
    yield Probe(LIBRARY, BUILDS, run("builds"), needs=("transformers",), fix=remedy)
    yield Probe(LIBRARY, SAME_TEXT, run("library_text"), needs=(BUILDS,), fix=remedy)
    for name, method in _BEHAVIOURS.items():
        yield Probe(LIBRARY, name, run(f"library_{method}"), (SAME_TEXT,), "note", use_ours)
    ready = ("release", BUILDS, SAME_TEXT)
    for name, method in {SAME_TEXT: "text", **_BEHAVIOURS}.items():
        yield Probe(OURS, name, run(f"our_{method}"), ready, "fail", remedy)


def _later(module: str, function: str, *given: Any) -> Callable[[], Finding | list[Finding]]:
    """Return a call that imports its module only when it is made."""

    def call() -> Finding | list[Finding]:
        made: Finding | list[Finding]
        made = getattr(import_module(f"gemma_mtp_edu.{module}"), function)(*given)
        return made

    return call


def _release() -> Finding:
    releases = import_module("gemma_mtp_edu.models.releases")
    try:
        releases.check_transformers()
    except releases.UnsupportedReleaseError as error:
        found = str(error).removesuffix(error.remedy).rstrip(": 。")
        return Finding("transformers", "release", "fail", found, error.remedy or _reinstall())
    return Finding("transformers", "release", "ok", releases.transformers_release())


def _loads() -> Finding:
    transformers = import_module("transformers")
    installed = metadata.version("transformers")
    if transformers.__version__ != installed:
        found = tr(
            "{loaded} is loaded, {installed} is installed",
            loaded=transformers.__version__,
            installed=installed,
        )
        fix = tr("restart Python (Runtime > Restart session, or Kernel > Restart)")
        return Finding("transformers", "transformers", "fail", found, fix)
    return Finding("transformers", "transformers", "ok", tr("loads"))


def _reinstall(requirement: str = "transformers>=5.20.2,<5.23") -> str:
    return pip_install(f'--force-reinstall "{requirement}"')
