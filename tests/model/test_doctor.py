"""The doctor on a working installation: of the library, and of our loop when it is broken."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers.utils import logging

from gemma_mtp_edu import doctor
from gemma_mtp_edu.core import decoding as run_module
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.target import CachedModel
from gemma_mtp_edu.core.verification import Verification
from gemma_mtp_edu.cycle_pair import WINDOW, cycle_pair
from gemma_mtp_edu.findings import LIBRARY, OURS, Report
from gemma_mtp_edu.lessons.language import speaking
from gemma_mtp_edu.loop_probes import LoopProbes, undisturbed
from gemma_mtp_edu.models.registry import PAIRS
from tests.unit.test_japanese_doctor import untranslated

ROOT = Path(__file__).resolve().parents[2]
BEHAVIOURS = (
    "honours the schedule",
    "hands over the right state",
    "hands over clean KV",
    "stops at a stop string",
    "samples without bias",
)


def state() -> tuple[object, ...]:
    return (
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        logging.get_verbosity(),
    )


@pytest.fixture(scope="module")
def report() -> Report:
    before = state()
    made = doctor(seconds=600)
    assert state() == before
    return made


def test_the_course_runs_here(report: Report) -> None:
    assert report.exit_code == 0, report
    assert "not checked" not in str(report)
    assert set(PAIRS) <= {finding.name for finding in report.findings}


def test_known_defects_of_the_library_are_notes_that_point_to_our_loop(report: Report) -> None:
    """FACTS of 5.20.2 to 5.22.2; a release that mends one of them changes this table."""
    seen = {name: report.find(name, LIBRARY).status for name in BEHAVIOURS}
    assert seen == {
        "honours the schedule": "note",
        "hands over the right state": "ok",
        "hands over clean KV": "note",
        "stops at a stop string": "note",
        "samples without bias": "note",
    }
    for name, status in seen.items():
        assert status == "ok" or "our loop does it right" in report.find(name, LIBRARY).fix
    assert report.find("honours the schedule").found.startswith("heuristic drafts 4, 4, 4, 4, ")
    assert "0.378" in report.find("samples without bias", LIBRARY).found


def test_our_loop_does_all_of_it(report: Report) -> None:
    assert {report.find(name, OURS).status for name in BEHAVIOURS} == {"ok"}
    assert report.find("samples without bias", OURS).found.endswith("0.000")


def test_all_of_it_can_be_had_in_japanese(report: Report) -> None:
    with speaking("ja"):
        japanese = doctor(seconds=600)
        assert untranslated(japanese) == []
    assert [(f.area, f.name, f.status) for f in japanese.findings] == [
        (f.area, f.name, f.status) for f in report.findings
    ]


def test_it_shows_no_folder_of_this_machine(report: Report) -> None:
    assert str(ROOT) not in report.to_json()
    assert str(Path.home()) not in report.to_json()


def test_the_command_takes_less_than_twenty_seconds_of_computing() -> None:
    """Of computing, not of the clock: other programs may hold this machine up."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "gemma_mtp_edu", "doctor", "--json", "--seconds", "600"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr == ""
    assert json.loads(done.stdout)["runs"] is True
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 20


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_caller_s_defaults_are_no_fault_and_stay(dtype: torch.dtype) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        made = doctor(seconds=600)
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(before)
    assert [finding for finding in made.findings if finding.status == "fail"] == []


def test_a_caller_s_device_is_no_fault() -> None:
    with torch.device("meta"):
        made = doctor(seconds=600)
        assert torch.ones(1).is_meta
    assert [finding for finding in made.findings if finding.status == "fail"] == []


def test_what_a_library_prints_is_not_in_the_report(tmp_path: Path) -> None:
    """Past Python's stdout, too."""
    noise = "import os, sys\nos.write(1, b'LOUD')\nprint('LOUD', file=sys.__stdout__)\n"
    (tmp_path / "tqdm.py").write_text(noise)
    command = [sys.executable, "-m", "gemma_mtp_edu", "doctor", "--json", "--seconds", "600"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert "LOUD" not in done.stdout
    assert json.loads(done.stdout)["schema"] == 1


def test_the_pair_in_memory_has_all_kinds_of_rounds() -> None:
    models = cycle_pair()
    again = cycle_pair()
    assert all(
        torch.equal(a, b)
        for a, b in zip(models.target.parameters(), again.target.parameters(), strict=True)
    )
    probes = LoopProbes()
    rounds = probes.ours.rounds
    ends = [*(seen.length for seen in rounds[1:]), probes.ours.ids.shape[1]]
    accepted = [end - seen.length - 1 for seen, end in zip(rounds, ends, strict=True)]
    assert probes.ours.prompt_length > WINDOW
    assert any(n == 0 for n in accepted)
    assert any(0 < n < seen.n_drafted for n, seen in zip(accepted, rounds, strict=True))
    assert any(n == seen.n_drafted for n, seen in zip(accepted, rounds, strict=True))


# One thing broken in our loop at a time: its probe must say so, and that is a failure.


def wrong_row(patch: pytest.MonkeyPatch) -> None:
    real = CachedModel.state_after
    patch.setattr(
        CachedModel, "state_after", lambda self, output, n, r: real(self, output, max(0, n - 1), r)
    )


def rejected_tokens_seen(patch: pytest.MonkeyPatch) -> None:
    real = CachedModel.state_after
    patch.setattr(
        CachedModel, "state_after", lambda self, output, n, r: real(self, output, n, max(0, r - 1))
    )


def argmax_judged_as_if_drawn(patch: pytest.MonkeyPatch) -> None:
    real = run_module.verify_sampling

    def rule(target_probs, draft_probs, draft_ids, generator):  # type: ignore[no-untyped-def]
        law = None if draft_probs is None else draft_probs.roll(1, -1)
        return real(target_probs, law, draft_ids, generator)

    patch.setattr(run_module, "verify_sampling", rule)


def stop_asked_once_per_round(patch: pytest.MonkeyPatch) -> None:
    from tests.model.test_fuzz import stops_at_the_end_of_a_round

    stops_at_the_end_of_a_round(patch)


def one_accepted_too_many(patch: pytest.MonkeyPatch) -> None:
    real = run_module.verify_greedy

    def rule(target_ids: torch.Tensor, draft_ids: torch.Tensor) -> Verification:
        right = real(target_ids, draft_ids)
        return Verification(min(right.n_accepted + 1, len(draft_ids)), right.next_id)

    patch.setattr(run_module, "verify_greedy", rule)


BROKEN = {
    "our_state": wrong_row,
    "our_kv": rejected_tokens_seen,
    "our_sampling": argmax_judged_as_if_drawn,
    "our_stop": stop_asked_once_per_round,
    "our_text": one_accepted_too_many,
}


@pytest.mark.parametrize("probe", BROKEN)
def test_a_defect_of_our_loop_is_a_failure(probe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it: Callable[[pytest.MonkeyPatch], None] = BROKEN[probe]
    with undisturbed():
        break_it(monkeypatch)
        finding = getattr(LoopProbes(), probe)()
    assert finding.status == "fail", finding
    assert "install" in finding.fix


def test_a_schedule_that_is_not_asked_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    probes = LoopProbes()
    asked = MTPDrafter.draft

    def stubborn(self, context, gamma, sampler, schedule):  # type: ignore[no-untyped-def]
        return asked(self, context, min(gamma, 1), sampler, schedule)

    monkeypatch.setattr(MTPDrafter, "draft", stubborn)
    assert probes.our_schedule().status == "fail"
