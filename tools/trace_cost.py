"""Measure what recording a trace costs: the same loop with and without it, in turns.

python -m tools.trace_cost [--repeats 9]
"""

import argparse
import statistics
import time
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch

from gemma_mtp_edu import load_pair, speculative_generate
from gemma_mtp_edu.core.decoding import Run
from gemma_mtp_edu.lessons.prompts import PROMPTS
from gemma_mtp_edu.models.pairs import ModelPair


def unrecorded() -> Any:
    """Return patches of what the trace needs beyond the text, as far as it can be taken out."""
    return (
        patch.multiple(Run, lap=lambda *_: None, end_round=lambda *_: None),
        patch.object(Run, "trace", lambda *_: None),
    )


def seconds(pair: ModelPair, recorded: bool) -> float:
    """Return the seconds of one run over a prompt of every workload."""
    patches = (nullcontext(), nullcontext()) if recorded else unrecorded()
    with patches[0], patches[1]:
        start = time.perf_counter()
        for prompts in PROMPTS.values():
            speculative_generate(pair, prompts[0], gamma=4, max_new_tokens=48)
        return time.perf_counter() - start


def main() -> None:
    """Print the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    pair = load_pair()
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(args.repeats + 1):
        for recorded in times:
            times[recorded].append(seconds(pair, recorded))
    with_trace, without = (statistics.median(values[1:]) for values in times.values())
    print(f"with trace {with_trace:.3f} s, without {without:.3f} s: {with_trace / without:.3f}")


if __name__ == "__main__":
    main()
