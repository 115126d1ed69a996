"""Profiles and costs for lessons 07 to 09, where the installed transformers runs no pair.

`make records` measures them anew.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profile import AcceptanceProfile

FILE = Path(__file__).parents[1] / "data" / "recorded.json"
WORKLOADS = "arithmetic json rewrite qa story".split()


def read(file: Path = FILE) -> Any:
    """Return `profiles` by workload and the `cost` model, as lessons 07 to 09 make them."""
    cost, *records = map(json.dumps, json.loads(file.read_text(encoding="utf-8")))
    profiles = dict(zip(WORKLOADS, map(AcceptanceProfile.from_json, records), strict=True))
    return SimpleNamespace(profiles=profiles, cost=CostModel.from_json(cost))
