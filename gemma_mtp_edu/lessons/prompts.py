"""Prompts by workload; the bundled pair was trained on such tasks, but not on these prompts."""

import json
from pathlib import Path

_TEXT = (Path(__file__).parents[1] / "data" / "prompts.json").read_text(encoding="utf-8")
PROMPTS: dict[str, tuple[str, ...]] = {name: tuple(p) for name, p in json.loads(_TEXT).items()}
