"""How much faster a profile is than drafting from each position in turn, and how fast replays are.

    python -m tools.profile_speed

Both ways of drafting start from the same target pass, so only the drafting is compared; they must
give the same drafts. The figures are of the machine that it runs on, for the bundled pair.
"""

import argparse
import time

import torch
from torch import Tensor

from gemma_mtp_edu import ModelPair, load_pair
from gemma_mtp_edu.analysis.profile import AcceptanceProfile, acceptance_profile, draft_chains
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.core.sampling import Sampler
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.target import CachedModel

PROMPT = "Tell me a short story about a heron."


@torch.no_grad()
def draft_in_turn(
    pair: ModelPair, text: Tensor, newest: Tensor, max_gamma: int
) -> list[tuple[int, ...]]:
    """Draft from each position with the drafter of the real loop, one step after the other."""
    target = CachedModel(pair.target, shares_state=True)
    output = target.verify(text)
    drafter, sampler = pair.new_drafter(), Sampler()
    chains = []
    for at in newest.tolist():
        # Row at - 1 predicted the newest token; what stands from there on is not yet written.
        state = target.state_after(output, at - 1, text.shape[1] - at)
        draft = drafter.draft(text[:, : at + 1], state, max_gamma, sampler, Constant(max_gamma))
        chains.append(tuple(draft.ids[0].tolist()))
    return chains


def replayed_rounds_per_second(profile: AcceptanceProfile) -> float:
    """Return how many rounds a second are replayed, with draft lengths 1 to the profile's."""
    start, rounds = time.perf_counter(), 0
    while time.perf_counter() - start < 1:
        for gamma in range(1, profile.max_gamma + 1):
            rounds += len(replay(profile, Constant(gamma)).rounds)
    return rounds / (time.perf_counter() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pair", default="pocket")
    parser.add_argument("--max-new-tokens", type=int, default=128)
    parser.add_argument("--max-gamma", type=int, default=16)
    arguments = parser.parse_args()
    pair, max_gamma = load_pair(arguments.pair), arguments.max_gamma
    profile = acceptance_profile(
        pair, PROMPT, max_gamma=max_gamma, max_new_tokens=arguments.max_new_tokens
    )
    text = torch.tensor([[*profile.prompt_ids, *profile.token_ids[:-1]]], device=pair.device)
    newest = torch.arange(len(profile.prompt_ids), text.shape[1], device=pair.device)

    start = time.perf_counter()
    ids, _ = draft_chains(pair, text, newest, max_gamma)
    at_once = time.perf_counter() - start
    start = time.perf_counter()
    in_turn = draft_in_turn(pair, text, newest, max_gamma)
    turn = time.perf_counter() - start

    different = sum(a != tuple(b) for a, b in zip(in_turn, ids.tolist(), strict=True))
    print(profile)
    print(", ".join(f"{key} {value}" for key, value in profile.provenance.items()))
    print(f"at once {at_once:.2f} s, in turn {turn:.2f} s: {turn / at_once:.1f} times as fast")
    print(f"chains that differ: {different} of {len(newest)}")
    print(f"{replayed_rounds_per_second(profile):,.0f} replayed rounds per second")


if __name__ == "__main__":
    main()
