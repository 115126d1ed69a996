"""Profiles and costs for lessons 07 to 09, where the installed transformers runs no pair.

`python -m gemma_mtp_edu.lessons.records [PAIR]`, or `make records`, measures them anew; nothing
else should run on the machine meanwhile.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profile import AcceptanceProfile, acceptance_profile
from gemma_mtp_edu.models.registry import PROMPTS

FILE = Path(__file__).parents[1] / "data" / "recorded.json"
WORKLOADS = "arithmetic json rewrite qa story".split()


def read(file: Path = FILE) -> Any:
    """Return `profiles` by workload and the `cost` model, as lessons 07 to 09 make them."""
    cost, *records = map(json.dumps, json.loads(file.read_text(encoding="utf-8")))
    profiles = dict(zip(WORKLOADS, map(AcceptanceProfile.from_json, records), strict=True))
    return SimpleNamespace(profiles=profiles, cost=CostModel.from_json(cost))


def record(pair: Any, file: Path = FILE, *, max_new_tokens: int = 64, repeats: int = 9) -> None:
    """Write what `read` reads: the first prompt of each workload, and the costs here."""
    records = [CostModel.calibrate(pair, contexts=(32, 96), repeats=repeats).to_json()]
    for name in WORKLOADS:
        made = acceptance_profile(pair, PROMPTS[name][0], max_new_tokens=max_new_tokens)
        short = tuple(tuple(round(p, 4) for p in row) for row in made.draft_probs)
        records.append(replace(made, draft_probs=short).to_json())
    file.write_text(f"[{', '.join(records)}]", encoding="utf-8")


if __name__ == "__main__":
    from gemma_mtp_edu import load_pair

    record(load_pair(*sys.argv[1:2]))
