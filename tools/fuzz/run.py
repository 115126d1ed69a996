"""Do a case: run it with drafts, and compare it with plain decoding."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from transformers import StopStringCriteria

from gemma_mtp_edu import ModelPair
from gemma_mtp_edu.analysis.custom import draft_and_verify
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.drafters import Drafter
from gemma_mtp_edu.core.schedules import FromProfile
from gemma_mtp_edu.core.trace import GenerationTrace
from tools.fuzz import audit, distributions
from tools.fuzz import plain as expected
from tools.fuzz.cases import Case
from tools.fuzz.models import Heard, drafter_of, ending_at, pair_of, prompt_of
from tools.fuzz.plain import Plain, function_arguments, generate_arguments, plain_of

# One sampled case in so many is run twice, with the same seed.
REPEATED = 4


@dataclass(slots=True)
class Outcome:
    """What a case gave.

    Attributes:
        failure: What was wrong; empty where nothing was.
        seen: What happened, to be counted: kinds of rounds, checks that applied.
        places: Of a sampled text's tokens in the distributions they should come from.
        uniforms: The numbers drawn to accept drafts.
    """

    failure: str = ""
    seen: list[str] = field(default_factory=list)
    places: list[float] = field(default_factory=list)
    uniforms: list[float] = field(default_factory=list)


def run_case(case: Case) -> Outcome:
    """Run a case and say whether it held; it never raises."""
    outcome = Outcome()
    try:
        _run(case, outcome)
    except Exception as error:
        if not case.setting.double and isinstance(error, AssertionError):
            # Before a difference is a bug it must outlive float64, where rounding is 1e9 smaller.
            twin = replace(case, setting=replace(case.setting, double=True))
            if not run_case(twin).failure:
                outcome.seen.append("float32 rounding: equal in float64")
                return outcome
        outcome.failure = f"{type(error).__name__}: {error}"
    return outcome


def _run(case: Case, outcome: Outcome) -> None:
    plain, pair = plain_of(case.setting), pair_of(case)
    before = _state(pair)
    with ending_at(pair, plain.stop):
        if case.door == "custom_generate":
            _check_generate(case, pair, plain, outcome)
        else:
            _check_function(case, pair, plain, outcome)
    after = _state(pair)
    assert torch.equal(before[0], after[0]), "the global random state moved"
    assert before[1] == after[1], "a configuration was changed"


def _state(pair: ModelPair) -> tuple[torch.Tensor, list[dict[str, Any]]]:
    models = (pair.target, pair.drafter)
    return torch.get_rng_state(), [m.generation_config.to_dict() for m in models]


def _check_function(case: Case, pair: ModelPair, plain: Plain, outcome: Outcome) -> None:
    chunks: list[tuple[int, ...]] = []
    drafter = Heard(drafter_of(case, pair, plain.free), case.setting.shape.vocab)
    trace = _speculate(case, pair, plain, drafter, chunks)
    outcome.seen += [f"round: {record.next_kind}" for record in trace.draft_rounds]
    outcome.seen.append(f"ended by: {trace.stop_reason}")
    audit.adds_up(trace, case.setting.max_new_tokens, chunks)
    audit.keeps_to_its_schedule(trace, case, plain.free)
    if case.setting.is_greedy:
        _check_greedy(case, trace, plain, outcome)
    else:
        _check_sampled(case, pair, trace, plain, drafter.distributions, outcome)


def _speculate(
    case: Case, pair: ModelPair, plain: Plain, drafter: Drafter, chunks: list[tuple[int, ...]]
) -> GenerationTrace:
    return speculative_generate(
        pair,
        prompt_of(case.setting),
        schedule=case.schedule,
        drafter=drafter,
        seed=case.seed,
        on_tokens=chunks.append,
        **function_arguments(case.setting, plain.stop),
    )


def _check_greedy(case: Case, trace: GenerationTrace, plain: Plain, outcome: Outcome) -> None:
    assert list(trace.token_ids) == plain.wanted, "the text is not the plain one"
    assert trace.stop_reason == plain.reason, f"{trace.stop_reason}, not {plain.reason}"
    audit.accepts_what_is_equal(trace, plain.free)
    # In float32 a profile's passes over many places may take the other of two equal drafts.
    if case.drafts in ("mtp", "mixed") and case.setting.double:
        profile = expected.profile_of_plain(case.setting)
        if profile is not None:
            audit.is_its_replay(trace, case, profile)
            outcome.seen.append("check: equal to its replay")


def _check_sampled(
    case: Case,
    pair: ModelPair,
    trace: GenerationTrace,
    plain: Plain,
    guesses: list[torch.Tensor],
    outcome: Outcome,
) -> None:
    setting, text = case.setting, list(trace.token_ids)
    wanted, reason = expected.shortened(setting, prompt_of(setting), text, plain.stop)
    assert (text, trace.stop_reason) == (wanted, reason), "the stop came too late, or for nothing"
    assert trace.stop_reason != "length" or len(text) == setting.max_new_tokens
    target = distributions.of_tokens(pair.target, setting, trace.prompt_ids, text)
    by_place = _by_place(trace, guesses)
    if case.drafts == "smaller":
        drafter = distributions.of_tokens(pair.drafter, setting, trace.prompt_ids, text)
        for place, distribution in by_place.items():
            assert (distribution - drafter[place]).abs().max() < audit.NEAR, (
                "the smaller model's distribution"
            )
    close = audit.accepts_by_the_rule(trace, target, guesses)
    outcome.seen += ["check: accepted by the rule", *["too close to call"] * close]
    outcome.places = distributions.places(target, text, by_place, case.seed)
    outcome.uniforms = [u for r in trace.draft_rounds for u in r.uniforms]
    if case.number % REPEATED == 0:
        again = _speculate(case, pair, plain, drafter_of(case, pair, plain.free), [])
        assert again.token_ids == trace.token_ids, "the same seed gave another text"
        outcome.seen.append("check: the same seed, the same text")
    if isinstance(case.schedule, FromProfile) and not any(case.schedule.lengths):
        arguments = function_arguments(setting, plain.stop)
        alone = autoregressive_generate(pair, prompt_of(setting), seed=case.seed, **arguments)
        assert alone.token_ids == trace.token_ids, "without drafts it is not the plain run"
        outcome.seen.append("check: no drafts, the plain run")


def _by_place(trace: GenerationTrace, guesses: list[torch.Tensor]) -> dict[int, torch.Tensor]:
    """Return the drafter's distribution at each place of the text where a draft was verified."""
    found = {}
    for record, rows in zip(trace.draft_rounds, guesses, strict=True):
        start = record.prefix_length - len(trace.prompt_ids)
        written = len(record.token_ids)
        found |= {start + j: distribution for j, distribution in enumerate(rows[:written])}
    return found


def _check_generate(case: Case, pair: ModelPair, plain: Plain, outcome: Outcome) -> None:
    """Check our loop behind the library's own call."""
    setting, ids = case.setting, prompt_of(case.setting)
    stops = expected.library_stop(setting, plain.stop)
    if plain.stop.string:  # generate() keeps the tokenizer from custom functions
        criterion = StopStringCriteria(stops["tokenizer"], stops["stop_strings"])
        stops = {"stopping_criteria": [criterion]}
    text = pair.target.generate(
        ids,
        custom_generate=draft_and_verify,
        drafter=pair.drafter,
        schedule=case.schedule,
        seed=case.seed,
        **generate_arguments(setting, ids),
        **stops,
    )[0, ids.shape[1] :].tolist()
    outcome.seen.append("check: behind generate()")
    if setting.is_greedy:
        assert text == plain.wanted, "behind generate() the text is not the plain one"
        return
    wanted, reason = expected.shortened(setting, ids, text, plain.stop)
    assert text == wanted, "behind generate() the stop came too late"
    assert reason != "length" or len(text) == setting.max_new_tokens
    target = distributions.of_tokens(pair.target, setting, ids[0].tolist(), text)
    outcome.places = distributions.places(target, text, {}, case.seed)
