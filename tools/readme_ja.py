"""The parts of README.ja.md that commands write, from those of README.md.

Tables are translated cell by cell, so that both say the same numbers; a cell that no rule knows is
an error, not a gap.
"""

import re
from collections.abc import Sequence

from tools.lessons import ROOT

README = ROOT / "README.ja.md"
Rules = Sequence[tuple[str, str]]
# What is the same in both languages: numbers, names, code, and workloads, which are names here.
_SAME = (
    r"[-`\d.x() ]*|`\S+`|[\d.]+[MB](?: effective / [\d.]+B)?|pocket|Colab .*|CPU, .*|\w+ \(\d+\)"
)
HARDWARE: Rules = (
    ("pair", "ペア"),
    ("target", "ターゲット"),
    ("drafter", "ドラフター"),
    ("memory for both", "両方に必要なメモリ"),
    (r"(\S+ GB) in fp32", r"\1(fp32)"),
    (r"(\S+ GB), published", r"\1(公表値)"),
    (r"(\S+ GB), computed", r"\1(計算値)"),
    (r"needs (\S+ GB)", r"\1 必要"),
    (r"(\S+) effective / (\S+)", r"実効 \1 / \2"),
    (r"(\w+), (\d+) layers", r"\1、\2 レイヤ"),
    (r"(\w+), (\S+) active", r"\1、アクティブ \2"),
    ("yes", "可"),
    ("no", "不可"),
)
BENCH: Rules = (
    ("context", "コンテキスト"),
    ("workload", "ワークロード"),
    ("prompt lookup, library", "プロンプト ルックアップ、ライブラリ"),
    ("assisted, library", "アシスト付き、ライブラリ"),
    ("assisted, ours", "アシスト付き、このプロジェクト"),
    ("long", "長い"),
    ("short", "短い"),
    ("arithmetic|chat|code|json|list|qa|rewrite|story", r"\g<0>"),
)
CONCLUSIONS: Rules = (
    (
        "ours over library's assisted run, mean",
        "ライブラリのアシスト付き生成に対するこのプロジェクトの速さの比、平均",
    ),
    (
        "ours over plain, best length per workload, mean",
        "通常のデコードに対するこのプロジェクトの比、ワークロードごとの最良のドラフト長、平均",
    ),
    (r"ours over plain, (\w+)", r"通常のデコードに対するこのプロジェクトの比、\1"),
    (
        "library's target passes over ours",
        "ターゲットのパス数の比(ライブラリ / このプロジェクト)",
    ),
    (
        "share of texts equal to the library's plain one",
        "ライブラリの通常のテキストと一致した割合",
    ),
)


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
    raise ValueError(f"got {text!r}, need a rule for it in tools/readme_ja.py")
