"""Time `pocket` with 1 and 2 threads, quiet and beside a busy process: `python -m tools.threads`.

It writes its table into docs/tools.md. Nothing else should run on the machine meanwhile.
"""

import os
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Any

import torch

from gemma_mtp_edu import autoregressive_generate, load_pair, speculative_generate
from gemma_mtp_edu.core.decoding import clock
from gemma_mtp_edu.measure import bench
from tools.document import table, write_parts
from tools.lessons import ROOT

BUSY = [sys.executable, "-c", "while True: pass"]
METHODS = {"plain": autoregressive_generate, "with drafts": partial(speculative_generate, gamma=4)}


def measured(pair: Any, prompt: Any, threads: Sequence[int] = (1, 2), repeats: int = 5) -> str:
    """Return a table of times, those of a quiet run with the first number of threads being 1."""
    seconds, before = defaultdict[Any, list[float]](list), torch.get_num_threads()
    # All cases in turns; the first turn only warms up.
    for beside in ("nothing", "a busy process") * (repeats + 1):
        loads = [subprocess.Popen(BUSY) for _ in range(beside != "nothing")]
        try:
            for n, method in product(threads, METHODS):
                torch.set_num_threads(n)
                start = clock(pair.device)
                METHODS[method](pair, prompt, max_new_tokens=48)
                seconds[beside, n, method].append(clock(pair.device) - start)
        finally:
            torch.set_num_threads(before)
            for load in loads:
                load.kill()
                load.wait()
    middle, rows = {case: statistics.median(s[1:]) for case, s in seconds.items()}, []
    for beside, n in dict.fromkeys(case[:2] for case in middle):
        times = (middle[beside, n, name] / middle["nothing", threads[0], name] for name in METHODS)
        rows.append([beside, str(n), *(f"{time:.2f}" for time in times)])
    facts = bench.conditions(pair, bench.Plan((4,), repeats, 48))
    facts |= {"method": "threads", "waiting": os.environ["OMP_WAIT_POLICY"].lower()}
    told = "; ".join(f"{name} {fact}" for name, fact in facts.items() if name != "threads")
    return f"{table(['beside', 'threads', *METHODS], rows)}\n\nConditions: {told}."


if __name__ == "__main__":
    made = measured(load_pair(), "Tell me a short story about a heron.")
    write_parts(ROOT / "docs" / "tools.md", {"threads": made})
    print(made)
