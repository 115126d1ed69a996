"""The timing harness: rounds for a cost model, and whole runs.

What is compared takes turns, after a warm-up, so that a slower hour favours none; medians count.
"""

import platform
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from gemma_mtp_edu.core.decoding import Run, autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.drafters import Drafter
from gemma_mtp_edu.core.sampling import Ids, Settings
from gemma_mtp_edu.core.schedules import Schedule
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace

Prompt = str | Ids
Prompts = Mapping[str, Prompt]
Grid = tuple[int, ...]
# Seconds of a plain step, of a verify pass by length, of one more draft, and of the rest.
Parts = tuple[float, tuple[float, ...], float, float]
# Real words, because which experts a mixture-of-experts target reads depends on the text.
_TEXT = "Tell me a story about a lighthouse keeper who counts ships, then list what she counted."


def calibrate(pair: Any, lengths: Grid, contexts: Grid, repeats: int) -> dict[str, Any]:
    """Return the fields of a `CostModel`, by running rounds as the loops run them."""
    names = ("plain_seconds", "verify_seconds", "drafter_seconds", "other_seconds")
    rows = [_at_context(pair, context, lengths, repeats) for context in contexts]
    cuda = pair.device.type == "cuda"
    hardware = torch.cuda.get_device_name(pair.device) if cuda else platform.processor()
    provenance = pair.provenance(f"calibrated, median of {repeats}")
    provenance |= {"hardware": hardware or platform.machine()}
    made = {"contexts": contexts, "lengths": lengths, "provenance": provenance}
    return {**made, **dict(zip(names, zip(*rows, strict=True), strict=True))}


@torch.inference_mode()
def _at_context(pair: Any, context: int, lengths: Grid, repeats: int) -> Parts:
    """Return `medians` after one context.

    Every round starts from it: what a round passes is forgotten after it. So rounds of all lengths,
    and plain steps, take turns under the same conditions.
    """
    chats, config = getattr(pair.processor, "chat_template", None), pair.target.config
    some = pair.encode(_TEXT) if chats else torch.arange(config.get_text_config().vocab_size)[None]
    some = some.repeat(1, -(-context // some.shape[1]))[:, : context - 1]  # the prefill writes one
    ids = pair.encode(some, 1 + lengths[-1])
    settings = Settings(max_new_tokens=1 + (repeats + 1) * sum(lengths))
    drafter = pair.new_drafter()
    drafted = Run(pair, ids, settings, shares_state=drafter.needs_state)
    plain = Run(pair, ids, settings)
    drafted.eos_ids = plain.eos_ids = ()  # nothing ends these runs
    state = drafted.prefill()
    plain.prefill()
    text = drafted.ids.clone()
    for repeat in range(repeats + 1):
        # Each time another length comes first, so that none of them gains by its place.
        start = repeat % len(lengths)
        for length in lengths[start:] + lengths[:start]:
            _round(drafted, text, length - 1, drafter, state)
            _round(plain, text)
    skipped = 1 + len(lengths)  # the prefill and the warm-up
    return medians(drafted.rounds[skipped:], plain.rounds[skipped:])


def medians(rounds: Sequence[RoundTrace], steps: Sequence[RoundTrace]) -> Parts:
    """Return the median seconds of what rounds, and the steps of plain decoding, are made of.

    The time in the drafter is a straight line over the number of drafts (least squares through
    the medians): its slope is one more draft, and what is left without any goes to the rest.
    """
    verify, drafting = defaultdict(list), defaultdict(list)
    for record in rounds:
        verify[len(record.draft_ids)].append(record.verify_seconds)
        drafting[len(record.draft_ids)].append(record.draft_seconds)
    counts = sorted(drafting)
    line = statistics.linear_regression(counts, [statistics.median(drafting[n]) for n in counts])
    rest = statistics.median(record.other_seconds for record in rounds)
    verifying = tuple(statistics.median(verify[n]) for n in counts)
    plain, step = statistics.median(step.seconds for step in steps), max(0.0, line.slope)
    return plain, verifying, step, rest + max(0.0, line.intercept)


def _round(
    run: Run, text: Ids, gamma: int = 0, drafter: Drafter | None = None, state: Any = None
) -> None:
    """Run a round as `decoding`'s loops do, plain without a drafter; forget what it passed."""
    run.lap("other")
    draft, passed = None, text[:, -1:]
    if drafter is not None:
        draft = drafter.draft(text, state, gamma, run.sampler, Schedule())
        run.lap("draft")
        passed = torch.cat([passed, draft.ids], dim=1)
    output = run.target.verify(passed)
    verification = run.accept(output, draft)
    run.commit(draft, verification)
    run.target.crop(passed.shape[1])
    run.target.state_after(output, verification.n_accepted, gamma - verification.n_accepted)
    run.end_round()


def timed_runs(
    pair: Any,
    prompts: Prompts,
    gammas: Sequence[int],
    *,
    max_new_tokens: int = 64,
    repeats: int = 3,
) -> dict[tuple[str, int], list[GenerationTrace]]:
    """Return timed runs of each text and draft length, 0 being plain, after a turn to warm up."""

    def run(name: str, gamma: int) -> GenerationTrace:
        if gamma == 0:
            return autoregressive_generate(pair, prompts[name], max_new_tokens=max_new_tokens)
        return speculative_generate(pair, prompts[name], gamma=gamma, max_new_tokens=max_new_tokens)

    cases = [(name, gamma) for name in prompts for gamma in (0, *gammas)]
    turns = [{case: run(*case) for case in cases} for _ in range(repeats + 1)]
    return {case: [turn[case] for turn in turns[1:]] for case in cases}
