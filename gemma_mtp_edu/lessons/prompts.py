"""Prompts by workload, from predictable text to free text, for lessons and benchmarks.

The bundled pair was trained on these eight kinds of task, not on these prompts.
"""

import json
from pathlib import Path

_FILE = Path(__file__).parents[1] / "data" / "prompts.json"
PROMPTS: dict[str, tuple[str, ...]] = {
    name: tuple(prompts) for name, prompts in json.loads(_FILE.read_text(encoding="utf-8")).items()
}
