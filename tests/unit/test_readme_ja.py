"""README.ja.md says what README.md says: the same blocks, commands, links, names and tables."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.test_readme import blocks
from tools import bench_table, buttons, figures, hardware, readme_ja
from tools.document import part
from tools.lessons import lesson_name, notebooks

ROOT = Path(__file__).resolve().parents[2]
ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
ENGLISH_LESSONS = {path.stem: path.read_text(encoding="utf-8") for path in notebooks()}
JAPANESE = readme_ja.README.read_text(encoding="utf-8")
_WRITTEN = r"<!-- (picture|demo|hardware|bench|buttons [\w/]+) -->.*?<!-- /\w+ -->"


def by_hand(text: str) -> str:
    """Return the text without the parts that a command writes."""
    return re.sub(_WRITTEN, "", text, flags=re.DOTALL)


def code(text: str) -> set[str]:
    without_blocks = re.sub(r"^```.*?^```", "", by_hand(text), flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`\n]+)`", without_blocks))


def addresses(text: str) -> set[str]:
    return set(re.findall(r"\]\((\w+:[^)\s]+)\)", by_hand(text)))


@pytest.mark.parametrize("language", ["sh", "python"])
def test_blocks_are_the_same(language: str) -> None:
    assert blocks(JAPANESE, language) == blocks(ENGLISH, language)


def test_no_name_command_or_address_is_lost() -> None:
    solutions = {name for name in code(ENGLISH) if name.startswith("notebooks/solutions")}
    assert code(ENGLISH) - code(JAPANESE) == solutions
    assert {name.replace("notebooks/", "notebooks/ja/") for name in solutions} <= code(JAPANESE)
    assert addresses(JAPANESE) == addresses(ENGLISH)


@pytest.mark.parametrize("mark", ["|", "#"])
def test_tables_and_headings_are_the_same(mark: str) -> None:
    english, japanese = (
        [re.match(r"#*", line)[0] for line in by_hand(text).splitlines() if line.startswith(mark)]
        for text in (ENGLISH, JAPANESE)
    )
    assert japanese == english


def test_every_japanese_lesson_has_its_buttons_and_its_title() -> None:
    for path in notebooks(language="ja"):
        if path.stem[0].isdigit():
            for address in buttons.addresses(buttons.repository_slug(), lesson_name(path)).values():
                assert address in JAPANESE
            title = json.loads(path.read_text(encoding="utf-8"))["cells"][1]["source"][0]
            row = re.search(rf"^\| ({path.stem[:2]} [^|]*) \|", JAPANESE, re.MULTILINE)
            old = title.strip() in ENGLISH_LESSONS[path.stem]  # not translated yet
            assert row and (old or title.startswith(f"# {row[1]}")), path.stem


def test_tables_are_those_of_the_english_one() -> None:
    assert part(JAPANESE, "hardware") == readme_ja.table(hardware.table(), readme_ja.HARDWARE)
    record = json.loads(bench_table.RESULT.read_text(encoding="utf-8"))
    assert part(JAPANESE, "bench") == readme_ja.bench(bench_table.bench_part(record))


def test_demo_and_picture_are_the_english_ones_in_japanese() -> None:
    shown, english = part(JAPANESE, "demo"), part(ENGLISH, "demo")
    assert re.findall(r"\d/\d  .*", shown) == re.findall(r"\d/\d  .*", english)
    assert f'GEMMA_MTP_EDU_LANG=ja make demo PROMPT="{figures.DEMO_PROMPT}"' in JAPANESE
    assert "通常の生成と同一" in shown
    assert "時間" not in shown
    (alt,) = re.findall(r'alt="([^"]*)"', part(JAPANESE, "picture"))
    assert figures.PROMPT in alt
    assert len(re.findall(r"ラウンド \d+: (?:受け入れ|拒否) '", alt)) == figures.ROUNDS


def test_both_link_to_each_other_at_the_top() -> None:
    assert "[日本語](README.ja.md)" in ENGLISH.split("\n\n")[1]
    assert "[English](README.md)" in JAPANESE.split("\n\n")[1]


def test_words_without_a_rule_are_refused() -> None:
    with pytest.raises(ValueError, match="need a rule"):
        readme_ja.table("| pair | surprise |", readme_ja.HARDWARE)
