"""Write what the cases store anew: `python -m tests.goldens.write pocket tiny`, or one of them."""

import json
import sys
from pathlib import Path

from tests.goldens.cases import cases_of, record

FOLDER = Path(__file__).parent
CASES = {group: cases_of(group) for group in ("pocket", "tiny")}


def write(group: str) -> None:
    """Write a group's file, one case a line."""
    made = {case.name: record(case) for case in CASES[group]}
    lines = [f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in made.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (FOLDER / f"{group}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        write(name)
