"""Check one trace round by round: it adds up, keeps to its schedule, and accepts by the rule."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gemma_mtp_edu import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay, replayed_round
from gemma_mtp_edu.core.drafters import lookup
from gemma_mtp_edu.core.schedules import LastRound
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from tools.fuzz.cases import Case

# Logits of a cached pass over a few tokens against those of a clean one over all of them.
NEAR = 1e-3


def adds_up(trace: GenerationTrace, limit: int, chunks: Sequence[tuple[int, ...]]) -> None:
    """Check that the rounds make up the text, and that a listener heard the same."""
    length = len(trace.prompt_ids)
    for index, record in enumerate(trace.rounds):
        assert record.prefix_length == length, f"round {index} starts at {record.prefix_length}"
        assert record.token_ids, f"round {index} wrote nothing"
        assert (record.next_kind == "prefill") == (index == 0)
        assert len(record.draft_probs) == len(record.target_probs) == len(record.draft_ids) or (
            not record.draft_ids
        )
        assert all(-1e-6 <= p <= 1 + 1e-6 for p in (*record.draft_probs, *record.target_probs))
        assert record.next_kind == _kind(record, index), f"round {index} is {record.next_kind}"
        length += len(record.token_ids)
    assert sum((r.token_ids for r in trace.rounds), ()) == trace.token_ids
    assert [r.token_ids for r in trace.rounds] == list(chunks), "a listener heard something else"
    assert len(trace.token_ids) <= limit
    assert trace.n_accepted + sum(r.next_id is not None for r in trace.rounds) == length - len(
        trace.prompt_ids
    )
    assert GenerationTrace.from_json(trace.to_json()) == trace


def _kind(record: RoundTrace, index: int) -> str:
    if index == 0:
        return "prefill"
    if record.next_id is None:
        return "none"
    if not record.draft_ids:
        return "plain"
    return "bonus" if record.n_accepted == len(record.draft_ids) else "correction"


def keeps_to_its_schedule(trace: GenerationTrace, case: Case, known: Sequence[int]) -> None:
    """Check each round's number of drafts against what the schedule asks for."""
    schedule, limit, written, last = case.schedule, case.setting.max_new_tokens, 1, None
    for number, record in enumerate(trace.draft_rounds, start=1):
        gamma = schedule.gamma(written, last)
        most = min(gamma, limit - written - 1)
        made = len(record.draft_ids)
        kind = case.drafts
        if kind == "mixed":
            kind = "scripted" if number % 2 else "mtp"
        if kind == "scripted":
            most = min(most, max(0, len(known) - written))
        elif kind == "lookup":
            text = [*trace.prompt_ids, *trace.token_ids[:written]]
            assert list(record.draft_ids) == lookup(text, 1 + case.seed % 3, most)
            most = made
        elif schedule.watches_probs:
            keeps = [schedule.keeps_drafting(p) for p in record.draft_probs[:most]]
            most = keeps.index(False) + 1 if False in keeps else most
        assert made == max(0, most), f"round {number}: {made} drafts, the schedule says {most}"
        last = LastRound(gamma, made, record.n_accepted)
        written += len(record.token_ids)


def accepts_what_is_equal(trace: GenerationTrace, free: Sequence[int]) -> None:
    """Check greedy decisions against the text that the library goes on to write."""
    for record in trace.draft_rounds:
        start = record.prefix_length - len(trace.prompt_ids)
        right = 0
        for draft, token in zip(record.draft_ids, free[start:], strict=False):
            if draft != token:
                break
            right += 1
        if record.next_kind == "none":
            assert record.n_accepted <= right
        else:
            assert record.n_accepted == right, f"{record.n_accepted} accepted, {right} are right"
        assert record.overlaps == record.uniforms == ()


def accepts_by_the_rule(trace: GenerationTrace, target: Tensor, guesses: Sequence[Tensor]) -> int:
    """Check sampled decisions against min(1, p/q), and return how many were too close to call.

    Args:
        trace: A sampled run.
        target: The target's clean distribution p at each place of the text, and after it.
        guesses: For each round the distribution q of each draft, one-hot where none was drawn.
    """
    close = 0
    for record, rows in zip(trace.draft_rounds, guesses, strict=True):
        start = record.prefix_length - len(trace.prompt_ids)
        assert len(record.overlaps) == len(record.uniforms) <= len(record.draft_ids)
        # Drafts behind the end of the text were verified too, but their clean p is not known.
        for j in range(min(len(record.uniforms), len(target) - start)):
            draft, p, q = record.draft_ids[j], target[start + j], rows[j]
            assert abs(record.draft_probs[j] - q[draft]) < NEAR, "the drafter's probability"
            assert abs(record.target_probs[j] - p[draft]) < NEAR, "the target's probability"
            overlap = float(torch.minimum(p, q).sum())
            assert abs(record.overlaps[j] - overlap) < NEAR, "the overlap"
            ratio = float(p[draft] / q[draft])
            close += abs(record.uniforms[j] - ratio) < NEAR
            accepted = record.uniforms[j] < ratio
            assert (
                accepted == (j < record.n_accepted)
                or record.next_kind == "none"
                or abs(record.uniforms[j] - ratio) < NEAR
            ), f"draft {j} with ratio {ratio} and draw {record.uniforms[j]}"
        if record.next_kind == "correction":
            j, own = record.n_accepted, record.next_id
            assert target[start + j, own] > rows[j][own] - NEAR, "no mass in the residual"
    return close


def is_its_replay(trace: GenerationTrace, case: Case, profile: AcceptanceProfile) -> None:
    """Check that the MTP drafter's rounds are those that the acceptance profile foretells.

    The profile comes from one clean pass over the finished text, so a drafter that was handed a
    wrong state, or a rejected token's keys and values, drafts something else than it says.
    """
    start = len(trace.prompt_ids)
    told = [replayed_round(profile, r.prefix_length - start, len(r.draft_ids))
            for r in trace.draft_rounds]  # fmt: skip
    if case.drafts == "mtp":
        told = list(replay(profile, case.schedule).draft_rounds)
        assert len(told) == len(trace.draft_rounds)
    for number, (record, wanted) in enumerate(zip(trace.draft_rounds, told, strict=True), start=1):
        if case.drafts == "mixed" and number % 2:
            continue
        facts = [(r.prefix_length, r.draft_ids, r.n_accepted, r.next_id, r.next_kind)
                 for r in (record, wanted)]  # fmt: skip
        assert facts[0] == facts[1], f"round {number} is {facts[0]}, the profile says {facts[1]}"
        for ours, theirs in zip(record.draft_probs, wanted.draft_probs, strict=True):
            assert abs(ours - theirs) < NEAR
