"""Measure what lessons 07 to 09 show where no pair runs: `python -m tools.records [PAIR]`.

Nothing else should run on the machine meanwhile.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from gemma_mtp_edu import CostModel, acceptance_profile, load_pair
from gemma_mtp_edu.lessons.records import FILE, WORKLOADS
from gemma_mtp_edu.models.registry import PROMPTS


def record(pair: Any, file: Path = FILE, *, max_new_tokens: int = 64, repeats: int = 9) -> None:
    """Write what `read` reads: the first prompt of each workload, and the costs here."""
    records = [CostModel.calibrate(pair, contexts=(32, 96), repeats=repeats).to_json()]
    for name in WORKLOADS:
        made = acceptance_profile(pair, PROMPTS[name][0], max_new_tokens=max_new_tokens)
        short = tuple(tuple(round(p, 4) for p in row) for row in made.draft_probs)
        records.append(replace(made, draft_probs=short).to_json())
    file.write_text(f"[{', '.join(records)}]", encoding="utf-8")


if __name__ == "__main__":
    record(load_pair(*sys.argv[1:2]))
