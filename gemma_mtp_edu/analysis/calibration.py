"""Measure what a cost model needs, by running rounds as the loops run them.

Every round starts from one context: what a round passes is forgotten after it. So rounds of all
lengths, and plain steps, take turns under the same conditions.
"""

import platform
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.grid import check_grid
from gemma_mtp_edu.core.arguments import whole
from gemma_mtp_edu.core.decoding import Run
from gemma_mtp_edu.core.drafters import Drafter
from gemma_mtp_edu.core.sampling import Settings
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.target import TargetState
from gemma_mtp_edu.core.trace import RoundTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair, check_is_pair

MOST_REPEATS = 1000
# Real words, because which experts a mixture-of-experts target reads depends on the text.
_TEXT = "Tell me a story about a lighthouse keeper who counts ships, then list what she counted."


@dataclass(frozen=True, slots=True)
class ContextTimes:
    """Median seconds after one context.

    Attributes:
        plain: A step of plain decoding.
        verify: A verify pass, by length.
        drafter: One more draft.
        other: The rest of a round.
    """

    plain: float
    verify: tuple[float, ...]
    drafter: float
    other: float


def calibrate(
    pair: ModelPair, lengths: tuple[Any, ...], contexts: tuple[Any, ...], repeats: Any
) -> CostModel:
    """Measure a pair; `CostModel.calibrate` says what the arguments mean.

    Raises:
        ValueError: A number is out of range.
    """
    check_is_pair(pair)
    check_grid(lengths, contexts)
    # numpy's numbers would not go into JSON.
    lengths, contexts = tuple(map(int, lengths)), tuple(map(int, contexts))
    repeats = whole(repeats, "repeats")
    if repeats > MOST_REPEATS:
        raise ValueError(
            tr(
                "got repeats {repeats}, need at most {most}: medians of more say nothing more",
                repeats=repeats,
                most=MOST_REPEATS,
            )
        )
    if pair.positions is not None and contexts[-1] + lengths[-1] > pair.positions:
        raise ValueError(
            tr(
                "got contexts up to {context} and lengths up to {length}, need at most "
                "{positions} together: the target has no more positions",
                context=contexts[-1],
                length=lengths[-1],
                positions=pair.positions,
            )
        )
    times = [_at_context(pair, context, lengths, repeats) for context in contexts]
    return CostModel(
        contexts=contexts,
        lengths=lengths,
        plain_seconds=tuple(t.plain for t in times),
        verify_seconds=tuple(t.verify for t in times),
        drafter_seconds=tuple(t.drafter for t in times),
        other_seconds=tuple(t.other for t in times),
        provenance={
            **pair.provenance(f"calibrated, median of {repeats}"),
            "hardware": _hardware(pair.device),
        },
    )


@torch.no_grad()
def _at_context(
    pair: ModelPair, context: int, lengths: tuple[int, ...], repeats: int
) -> ContextTimes:
    # The prefill writes the last token of the context.
    ids = _context_ids(pair, context - 1)
    room = 1 + (repeats + 1) * sum(lengths)
    drafter = pair.new_drafter()
    drafted = _run(pair, ids, room, shares_state=drafter.needs_state)
    plain = _run(pair, ids, room, shares_state=False)
    state = drafted.prefill()
    plain.prefill()
    given = drafted.ids.clone()
    for repeat in range(repeats + 1):
        # Each time another length comes first, so that none of them gains by its place.
        start = repeat % len(lengths)
        for length in lengths[start:] + lengths[:start]:
            _round(drafted, drafter, given, state, length - 1)
            _plain_step(plain, given[:, -1:])
    skipped = 1 + len(lengths)  # the prefill and the warm-up
    rounds, steps = drafted.rounds[skipped:], plain.rounds[skipped:]
    return medians(rounds, steps)


def medians(rounds: Sequence[RoundTrace], steps: Sequence[RoundTrace]) -> ContextTimes:
    """Return the median times of drafting rounds and of plain steps.

    The time in the drafter is a straight line over the number of drafts (least squares through
    the medians): its slope is one more draft, and what is left without any goes to the rest.
    """
    verify, drafting = defaultdict(list), defaultdict(list)
    for record in rounds:
        n_drafted = len(record.draft_ids)
        verify[n_drafted + 1].append(record.verify_seconds)
        drafting[n_drafted].append(record.draft_seconds)
    counts = sorted(drafting)
    line = statistics.linear_regression(counts, [statistics.median(drafting[n]) for n in counts])
    rest = statistics.median(record.other_seconds for record in rounds)
    return ContextTimes(
        plain=statistics.median(step.seconds for step in steps),
        verify=tuple(statistics.median(verify[length]) for length in sorted(verify)),
        drafter=max(0.0, line.slope),
        other=rest + max(0.0, line.intercept),
    )


def _round(
    run: Run, drafter: Drafter, ids: Int[Tensor, "1 seq"], state: TargetState | None, gamma: int
) -> None:
    """Run one round as `decoding.speculate` does, and forget what it passed."""
    run.lap("between")
    draft = drafter.draft(ids, state, gamma, run.sampler, Constant(max(1, gamma)))
    run.lap("draft")
    output = run.target.verify(torch.cat([ids[:, -1:], draft.ids], dim=1))
    verification = run.accept(output, draft)
    run.commit(draft, verification)
    n_drafted = draft.ids.shape[1]
    run.target.crop(n_drafted + 1)
    run.target.state_after(output, verification.n_accepted, n_drafted - verification.n_accepted)
    run.end_round()


def _plain_step(run: Run, newest: Int[Tensor, "1 1"]) -> None:
    """Run one step as `decoding.decode_plainly` does, and forget it."""
    run.lap("between")
    run.commit(None, run.accept(run.target.verify(newest), None))
    run.target.crop(1)
    run.end_round()


def _run(pair: ModelPair, ids: Int[Tensor, "1 seq"], room: int, *, shares_state: bool) -> Run:
    """Return a greedy run that no end mark ends."""
    run = Run(pair, ids, Settings(max_new_tokens=room), shares_state=shares_state)
    run.eos_ids = ()
    return run


def _context_ids(pair: ModelPair, length: int) -> Int[Tensor, "1 length"]:
    """Return a prompt of that many tokens: a text again and again, or without tokenizer noise."""
    if pair.processor is None:
        vocabulary = pair.target.config.get_text_config().vocab_size
        generator = torch.Generator().manual_seed(0)
        return torch.randint(vocabulary, (1, length), generator=generator).to(pair.device)
    once = pair.encode(_TEXT)
    return once.repeat(1, -(-length // once.shape[1]))[:, :length]


def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
