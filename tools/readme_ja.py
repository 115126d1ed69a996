"""The parts of README.ja.md that commands write, from those of README.md.

Tables are translated cell by cell, so that both say the same numbers; a cell that no rule knows is
an error, not a gap.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tools.lessons import ROOT

README = ROOT / "README.ja.md"
Rules = Sequence[tuple[str, str]]
# What is the same in both languages: numbers, names, code, and workloads, which are names here.
_SAME = (
    r"[-`\d.x(), ]*|`\S+`|[\d.]+[MB](?: effective / [\d.]+B)?|pocket|Colab .*|CPU, .*|\w+ \(\d+\)"
)
# Each rule is a pattern for a whole cell, and what it says in Japanese.
_RULES: dict[str, Rules] = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))
HARDWARE, BENCH, CONCLUSIONS = (_RULES[name] for name in ("hardware", "bench", "conclusions"))


def table(english: str, rules: Rules) -> str:
    """Return a table with its cells in Japanese.

    Raises:
        ValueError: A cell's words are in no rule.
    """
    lines = english.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return "\n".join(f"| {' | '.join(_cell(cell, rules) for cell in row)} |" for row in rows)


def bench(english: str) -> str:
    """Return the benchmark's table, conclusions and conditions in Japanese.

    Raises:
        ValueError: A cell or a conclusion is in no rule.
    """
    shown, conclusions, conditions = english.split("\n\n")
    lines = []
    for line in conclusions.splitlines():
        name, _, value = line.removeprefix("- ").rpartition(": ")
        context, colon, rest = name.rpartition(": ")
        told = f"{_cell(context, BENCH)}コンテキスト: " if colon else ""
        lines.append(f"- {told}{_cell(rest, CONCLUSIONS)}: {value}")
    conditions = conditions.replace("Conditions: ", "条件: ").removesuffix(".")
    return "\n".join([table(shown, BENCH), "", *lines, "", f"{conditions}。"])


def _cell(text: str, rules: Rules) -> str:
    for pattern, japanese in rules:
        if match := re.fullmatch(pattern, text):
            return match.expand(japanese)
    if re.fullmatch(_SAME, text):
        return text
    raise ValueError(f"got {text!r}, need a rule for it in tools/readme_ja.json")
