"""What recording a trace costs, and what profiles save: drafting at once, replaying with no model.

    python -m tools.speed

What is compared takes turns, after a warm-up; medians count. Both ways of drafting start from the
same target pass, so only the drafting is compared; they must give the same drafts.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from gemma_mtp_edu import ModelPair, acceptance_profile, load_pair, replay, speculative_generate
from gemma_mtp_edu.analysis.profile import draft_chains
from gemma_mtp_edu.core.decoding import Run
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.target import CachedModel
from gemma_mtp_edu.models.registry import PROMPTS

PROMPT = "Tell me a short story about a heron."


def compared(names: str, first: Callable[[], Any], second: Callable[[], Any], turns: int) -> str:
    """Return both median times and the second one over the first, in words."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns + 1):
        for call, taken in zip((first, second), seconds, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    one, other = (statistics.median(taken[1:]) for taken in seconds)
    return f"{names}: {one:.3f} s, {other:.3f} s, ratio {other / one:.3f}"


def write(pair: ModelPair) -> None:
    """Write a text of every workload."""
    for prompts in PROMPTS.values():
        speculative_generate(pair, prompts[0], gamma=4, max_new_tokens=48)


def write_unrecorded(pair: ModelPair) -> None:
    """Write the same without what the trace needs beyond the text, as far as it can be left out."""
    left_out = dict.fromkeys(("lap", "end_round", "trace"), lambda *_: None)
    with patch.multiple(Run, **left_out):
        write(pair)


@torch.no_grad()
def draft_in_turn(pair: ModelPair, text: Tensor, newest: Tensor, gamma: int) -> list[list[int]]:
    """Draft from each position with the drafter of the real loop, one step after the other."""
    target = CachedModel(pair.target, shares_state=True)
    output = target.verify(text)
    drafter, sampler = pair.new_drafter(), Sampler()
    chains = []
    for at in newest.tolist():
        # Row at - 1 predicted the newest token; what stands from there on is not yet written.
        state = target.state_after(output, at - 1, text.shape[1] - at)
        draft = drafter.draft(text[:, : at + 1], state, gamma, sampler, Constant(gamma))
        chains.append(draft.ids[0].tolist())
    return chains


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pair", default="pocket")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--max-gamma", type=int, default=16)
    args = parser.parse_args()
    pair, gamma = load_pair(args.pair), args.max_gamma
    print(compared("unrecorded, recorded", lambda: write_unrecorded(pair), lambda: write(pair),
                   args.repeats))  # fmt: skip
    profile = acceptance_profile(pair, PROMPT, max_gamma=gamma, max_new_tokens=128)
    print(f"{profile}\n{profile.provenance}")
    text = torch.tensor([[*profile.prompt_ids, *profile.token_ids[:-1]]], device=pair.device)
    newest = torch.arange(len(profile.prompt_ids), text.shape[1], device=pair.device)
    given = pair, text, newest, gamma
    print(compared("drafted at once, in turn", lambda: draft_chains(*given),
                   lambda: draft_in_turn(*given), args.repeats))  # fmt: skip
    at_once, in_turn = draft_chains(*given)[0].tolist(), draft_in_turn(*given)
    different = sum(one != other for one, other in zip(at_once, in_turn, strict=True))
    print(f"chains that differ: {different} of {len(newest)}")
    start = time.perf_counter()
    rounds = sum(len(replay(profile, Constant(n)).rounds) for n in range(1, gamma + 1))
    print(f"{rounds / (time.perf_counter() - start):,.0f} replayed rounds per second")


if __name__ == "__main__":
    main()
