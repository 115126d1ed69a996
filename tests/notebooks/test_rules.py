"""Each rule can fail: a sound lesson is broken in one place, and that rule says so."""

from collections.abc import Callable
from dataclasses import astuple

import nbformat
import pytest
from nbformat import NotebookNode

import example_lesson as example
from tests.cases import tables
from tools import lesson_rules as rules
from tools import lesson_shape as shape
from tools.built_lesson import Rule
from tools.lessons import WIDGET_VIEW, normalised, parse_source

Change = Callable[[NotebookNode], object]


def code(notebook: NotebookNode, index: int) -> NotebookNode:
    return [cell for cell in notebook.cells if cell.cell_type == "code"][index]


def show(index: int, **data: str) -> Change:
    """Return a change that adds a display output to a code cell."""
    mimes = {key.replace("_", "/"): value for key, value in data.items()}
    output = nbformat.v4.new_output("display_data", data=mimes)
    return lambda notebook: code(notebook, index).outputs.append(output)


def say(index: int, text: str, name: str = "stdout") -> Change:
    """Return a change that adds a stream output to a code cell."""
    output = nbformat.v4.new_output("stream", name=name, text=text)
    return lambda notebook: code(notebook, index).outputs.append(output)


def write(index: int, source: str) -> Change:
    """Return a change that replaces the code of a code cell."""
    return lambda notebook: code(notebook, index).update(source=source)


def replace(old: str, new: str) -> Change:
    """Return a change that replaces a text in all cells."""

    def change(notebook: NotebookNode) -> None:
        assert any(old in cell.source for cell in notebook.cells)
        for cell in notebook.cells:
            cell.source = cell.source.replace(old, new)

    return change


def test_the_sound_lesson_keeps_all_rules() -> None:
    lesson = example.lesson()
    for rule in rules.FORM_RULES + shape.LESSON_RULES:
        assert list(rule(lesson)) == [], rule.__name__


FAILURE = nbformat.v4.new_output("error", ename="KeyError", evalue="1", traceback=[])
BREAKS: list[tuple[Rule, Change]] = [
    (rules.has_no_failure, lambda nb: code(nb, 1).outputs.append(FAILURE)),
    (rules.is_in_normal_form, lambda nb: nb.metadata.update(widgets={})),
    (rules.is_in_normal_form, lambda nb: nb.metadata.language_info.update(version="3.11.7")),
    (rules.is_in_normal_form, show(1, **{WIDGET_VIEW: "x"})),
    (rules.has_buttons_and_setup, lambda nb: nb.cells.pop(0)),
    (rules.has_buttons_and_setup, lambda nb: code(nb, 0).metadata.clear()),
    (shape.has_short_cells, lambda nb: [write(i, "x = 1\n" * 8)(nb) for i in range(1, 5)]),
    (shape.has_short_cells, lambda nb: nb.cells.extend([code(nb, 1)] * 9)),
]
RULES = {rule.__name__: rule for rule in (*rules.FORM_RULES, *shape.LESSON_RULES)}
CHANGES: dict[str, Callable[..., Change]] = {
    "replace": replace,
    "say": say,
    "write": write,
    "show": lambda index, data: show(index, **data),
    "set": lambda index, values: lambda nb: code(nb, index).update(values),
    "mark": lambda index, values: lambda nb: code(nb, index).metadata.update(values),
}
BREAKS += [
    (RULES[name], CHANGES[kind](*given)) for name, kind, *given in tables(__file__)["breaks"]
]


@pytest.mark.parametrize(("rule", "change"), BREAKS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_broken_lesson_is_found(rule: Rule, change: Change) -> None:
    notebook = example.built()
    change(notebook)
    assert list(rule(example.lesson(notebook)))


@pytest.mark.parametrize("number", range(len(astuple(shape.WORDS["ja"]))))
def test_a_japanese_lesson_has_japanese_parts(number: int) -> None:
    notebook = example.built()
    pairs = zip(astuple(shape.WORDS["en"]), astuple(shape.WORDS["ja"]), strict=True)
    for english, japanese in pairs:
        replace(english, japanese)(notebook)
    lesson = example.lesson(notebook, name="ja/00_example")
    assert [s for rule in shape.LESSON_RULES for s in rule(lesson)] == []
    replace(astuple(shape.WORDS["ja"])[number], "別の語")(notebook)
    assert [s for rule in shape.LESSON_RULES for s in rule(lesson)] != []


def test_three_japanese_characters_count_as_a_word() -> None:
    notebook = example.built()
    replace("A sum", "ドラフト" * 60)(notebook)
    assert list(shape.has_short_cells(example.lesson(notebook))) == []
    replace("ドラフト" * 60, "ドラフト" * 61)(notebook)
    (sentence,) = shape.has_short_cells(example.lesson(notebook))
    assert "81 words" in sentence


def test_every_rule_is_broken_here() -> None:
    assert list(rules.is_small(example.lesson(size=rules.MAX_BYTES + 1)))
    broken = {rule for rule, _ in BREAKS} | {rules.is_small}
    assert broken == set(rules.FORM_RULES + shape.LESSON_RULES)


def test_times_may_stand_where_they_are_meant_and_pictures_hold_no_paths() -> None:
    notebook = example.built()
    say(1, "14.4 ms")(notebook)  # checked by nbval
    code(notebook, 2).metadata.tags = ["timing"]
    say(2, "took 0.31 s")(notebook)
    html = '<img alt="x" src="data:image/png;base64,AAAA/tmp/BBBB">'
    show(1, text_html=html, image_png="AAAA/tmp/BBBB")(notebook)
    assert not list(rules.names_no_machine(example.lesson(notebook)))
    assert not list(rules.has_alt_texts(example.lesson(notebook)))


def test_code_and_quotes_may_hold_any_word() -> None:
    assert list(rules.homely_words('A "law", `judge(x)` and [a link](judge.md).')) == []
    assert list(rules.homely_words("Judged by a\nnear tie")) == [
        "says 'Judged', not verify", "says 'near tie', not tie, top-2 margin",
    ]  # fmt: skip


def test_solutions_need_no_takeaways() -> None:
    assert rules.rules_for("solutions") == rules.FORM_RULES
    assert rules.rules_for("ja/00_first_run") == rules.FORM_RULES + shape.LESSON_RULES


def test_blank_lines_between_cells_do_not_count() -> None:
    spread = example.SOURCE.replace("\n\n# %%", "\n\n\n\n# %%")
    assert not list(rules.equals_its_source(example.lesson(source=spread)))


def test_normal_form_is_stable_and_keeps_ids_of_other_cells() -> None:
    notebook = example.built()
    assert normalised(notebook) == notebook
    longer = parse_source(
        example.SOURCE.replace("# %% [markdown]\n# ## A sum", "# %%\n1\n\n# %%\n2")
    )
    before = [cell.id for cell in notebook.cells]
    after = [cell.id for cell in longer.cells]
    assert [x for x in before if x not in after] == [before[4]]
    assert len(set(after)) == len(after)


def test_streams_are_joined_and_widget_views_dropped() -> None:
    notebook = example.built()
    say(1, "4\n")(notebook)
    say(1, "oh", "stderr")(notebook)
    show(1, **{WIDGET_VIEW: "x", "text_plain": "IntSlider()"})(notebook)
    first, second, third = code(normalised(notebook), 1).outputs
    assert (first.text, second.name) == ("3\n4\n", "stderr")
    assert third.data == {"text/plain": "IntSlider()"}
