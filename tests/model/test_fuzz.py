"""The fuzz: a slice of its series, its stored result, and faults that it must find."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from gemma_mtp_edu.core import decoding as run_module
from gemma_mtp_edu.core.decoding import Run
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.schedules import Constant, Heuristic
from gemma_mtp_edu.core.target import CachedModel
from gemma_mtp_edu.core.verification import Verification
from tests.cases import cases
from tests.model.tiny import Shape
from tools.fuzz.cases import Case, Setting, draw_case, features
from tools.fuzz.distributions import uniform_p_value
from tools.fuzz.models import Stop, make_pair, tokenizer
from tools.fuzz.run import Outcome, run_case
from tools.fuzz.series import ROOT, SUSPICIOUS, is_sound, run_block, run_series, summary

RECORD = ROOT / "docs/fuzz.json"
SEED = 1


@pytest.mark.slow
def test_a_slice_of_the_series_holds() -> None:
    """Fewer cases than the stored run, the same every time; `make fuzz` runs more."""
    record = summary(SEED, [run_block(SEED, 0, 160)])
    assert record["failures"] == []
    assert is_sound(record)
    kinds = {f"round: {kind}" for kind in ("correction", "bonus", "plain", "none")}
    ends = {f"ended by: {reason}" for reason in ("eos", "length", "stop")}
    assert kinds | ends <= record["seen"].keys()
    assert {name for name in record["seen"] if name.startswith("check: ")} >= {
        "check: equal to its replay",
        "check: accepted by the rule",
        "check: behind generate()",
        "check: the same seed, the same text",
    }


def test_the_stored_run_is_of_ten_thousand_cases_and_none_failed() -> None:
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    assert record["cases"] >= 10_000
    assert record["failures"] == []
    assert is_sound(record)
    assert record["sampled tokens"]["number"] > 10_000
    assert {"torch", "transformers", "seed", "commit", "cpu_seconds"} <= record.keys()
    # The cases are drawn again, so the record is of this series and of no other.
    drawn = (draw_case(record["seed"], number) for number in range(record["cases"]))
    assert Counter(name for case in drawn for name in features(case)) == record["features"]


def cases_of(wanted: Callable[[Case], bool], number: int) -> list[Case]:
    """Return the first cases of the series that are as wanted."""
    found = (case for case in (draw_case(SEED, i) for i in range(5_000)) if wanted(case))
    return [case for case, _ in zip(found, range(number), strict=False)]


def outcomes(cases: Sequence[Case]) -> list[Outcome]:
    return [run_case(case) for case in cases]


# One fault at a time, and cases in which it can show.


def crops_one_too_few(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CachedModel, "crop", lambda self, n: self.cache.crop(-max(0, n - 1)))


def gives_the_state_of_the_row_before(patch: pytest.MonkeyPatch) -> None:
    real = CachedModel.state_after
    patch.setattr(CachedModel, "state_after", lambda s, o, a, r: real(s, o, max(0, a - 1), r))


def stops_at_the_end_of_a_round(patch: pytest.MonkeyPatch) -> None:
    """Ask for the stop once per round, as the library does."""

    def append(self: Run, tokens: list[int]) -> list[int]:
        whole = tokens[: self.remaining]
        for n in range(1, len(whole)):
            ends, self.eos_ids = self.eos_ids, ()
            real(self, whole[:n])
            self.eos_ids, self.stop_reason = ends, None
        return real(self, whole)

    real = Run._append
    patch.setattr(Run, "_append", append)


def never_grows(patch: pytest.MonkeyPatch) -> None:
    real = run_module.LastRound
    patch.setattr(run_module, "LastRound", lambda gamma, n, a: real(gamma, n, 0))


def accepts_by_chance(patch: pytest.MonkeyPatch) -> None:
    real = run_module.verify_sampling

    def rule(p: torch.Tensor, q: object, drafts: torch.Tensor, g: object) -> Verification:
        right = real(p, q, drafts, g)  # type: ignore[arg-type]
        return Verification(len(drafts), right.next_id, right.overlaps, right.uniforms)

    patch.setattr(run_module, "verify_sampling", rule)


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        (crops_one_too_few, lambda c: c.setting.is_greedy and c.drafts == "scripted"),
        (
            gives_the_state_of_the_row_before,
            lambda c: c.drafts == "mixed" and c.setting.is_greedy and c.setting.double
            and not c.setting.is_processed and c.setting.stop == "length"
            and c.setting.max_new_tokens > 8,
        ),
        (
            stops_at_the_end_of_a_round,
            lambda c: c.setting.is_greedy and c.drafts == "scripted" and c.right == 1.0
            and c.setting.stop == "eos",
        ),
        (never_grows, lambda c: isinstance(c.schedule, Heuristic) and c.right == 1.0
            and c.drafts == "scripted" and c.setting.is_greedy),
        (accepts_by_chance, lambda c: not c.setting.is_greedy and c.drafts == "smaller"),
    ],
    ids=lambda value: value.__name__ if value.__name__ != "<lambda>" else "",
)  # fmt: skip
def test_faults_are_found(
    fault: Callable[[pytest.MonkeyPatch], None],
    wanted: Callable[[Case], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = cases_of(wanted, 8)
    assert not any(outcome.failure for outcome in outcomes(chosen[:3]))
    fault(monkeypatch)
    assert any(outcome.failure for outcome in outcomes(chosen))


def sampled_case(seed: int) -> Case:
    """Return a case with much to draw; those of other seeds share its text."""
    setting = Setting(
        shape=Shape(vocab=16, centroids=0, softcap=5.0), wrapped=False, double=True,
        prompt_length=5, prompt_words=16, prompt_seed=0, max_new_tokens=20, stop="length",
        stop_place=0.0, repetition_penalty=None, no_repeat=False, temperature=1.7, top_k=None,
        top_p=None,
    )  # fmt: skip
    return Case(seed, setting, "mtp", 1.0, Constant(2), "function", seed)


def test_a_biased_distribution_is_found_in_the_places_of_the_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Argmax drafts accepted as if drawn (transformers#47932): only the pooled places show it."""

    def argmax(self: Sampler, logits: torch.Tensor, text: torch.Tensor) -> object:
        _, _, probs = real(self, logits, text)
        best = probs.argmax()
        return best[None, None], probs[best], probs

    real = Sampler.choose
    drawn = [sampled_case(seed) for seed in range(12)]
    sound = [place for outcome in outcomes(drawn) for place in outcome.places]
    monkeypatch.setattr(Sampler, "choose", argmax)
    biased = [place for outcome in outcomes(drawn) for place in outcome.places]
    assert (uniform_p_value(sound) or 0) > SUSPICIOUS
    assert (uniform_p_value(biased) or 1) < SUSPICIOUS


def test_a_series_goes_on_where_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []

    def block(seed: int, first: int, size: int) -> dict[str, object]:
        runs.append(first)
        return {"seed": seed, "first": first, "cases": size, "code": "c"}

    monkeypatch.setattr("tools.fuzz.series.run_block", block)
    monkeypatch.setattr("tools.fuzz.series.code_digest", lambda: "c")
    store = tmp_path / "made" / "1.jsonl"
    series = run_series(1, 300, store)
    next(series), next(series)
    with store.open("a") as lines:
        lines.write('{"seed": 1, "fir')  # a kill in the middle of a line
    assert [b["first"] for b in run_series(1, 250, store)] == [0, 100, 200]
    assert runs == [0, 100, 200]
    assert [b["first"] for b in run_series(2, 100, store)] == [0]
    assert runs == [0, 100, 200, 0], "another seed is another series"


def test_models_of_one_shape_do_not_share_a_configuration() -> None:
    """Making the second one must not change how the first one computes."""
    shape = Shape(experts=True)
    first = make_pair(shape, True, True)
    make_pair(shape, True, False)
    ids = torch.tensor([[3, 4, 5]])
    assert first.target(input_ids=ids).logits.dtype == torch.float64


@cases
def test_the_rule_of_the_stops_by_hand(
    stop: dict[str, Any], before: list[int], token: int, reason: str | None, why: str
) -> None:
    assert tokenizer(16).decode([1, 2, 8]) == "bcca"
    assert Stop(**stop).ends(16, before, token) == reason, why
