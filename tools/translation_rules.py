"""What a Japanese paragraph must share with its English one, and how it must be written.

Each rule takes both texts and yields a sentence for each thing that is wrong.
"""

import re
from collections.abc import Callable, Iterator

from markdown_it import MarkdownIt

Rule = Callable[[str, str], Iterator[str]]
_JAPANESE = r"[぀-ヿ一-鿿]"
_MARKDOWN = MarkdownIt("commonmark")


def keeps_code(english: str, japanese: str) -> Iterator[str]:
    """Every piece of code is there; the Japanese may put printed English words into code too."""
    if lost := _code(english) - _code(japanese):
        yield f"lacks the code {', '.join(sorted(lost))}"


def keeps_links(english: str, japanese: str) -> Iterator[str]:
    """Every address is there, and no other."""
    if differing := _links(english) ^ _links(japanese):
        yield f"has other links: {', '.join(sorted(differing))}"


def keeps_numbers(english: str, japanese: str) -> Iterator[str]:
    """Every number in digits is there; one in words may have become digits."""
    if lost := _numbers(english) - _numbers(japanese):
        yield f"lacks the numbers {', '.join(sorted(lost))}"


def keeps_its_form(english: str, japanese: str) -> Iterator[str]:
    """A heading is a heading of the same level, and a list, table or hint stays one."""
    forms = [re.match(r"(#+|-|\d+\.|\||<details>|```)? ?", text)[1] for text in (english, japanese)]
    if forms[0] != forms[1]:
        yield f"begins with {forms[1]!r}, its English with {forms[0]!r}"


def is_japanese(english: str, japanese: str) -> Iterator[str]:
    """A paragraph of words has been translated."""
    words = re.findall(r"[A-Za-z]{4,}", re.sub(r"`[^`]*`|\]\([^)]*\)", "", english))
    if len(set(words)) > 3 and not re.search(_JAPANESE, japanese):
        yield "is still English"


def shows_its_marks(english: str, japanese: str) -> Iterator[str]:
    """Bold and code are rendered: `**` beside a bracket or full stop stays as it is."""
    html = re.sub(r"<code.*?</code>", "", _MARKDOWN.render(japanese), flags=re.DOTALL)
    if "**" in html or "`" in html:
        yield "has a ** or ` that is not rendered"


def has_no_break_in_a_sentence(english: str, japanese: str) -> Iterator[str]:
    """No line ends between two Japanese characters: browsers would show a space there."""
    if match := re.search(rf"{_JAPANESE}\n{_JAPANESE}", japanese):
        yield f"has a line break in a sentence: {match[0]!r}"


def has_half_width_signs(english: str, japanese: str) -> Iterator[str]:
    """Brackets, colons and question marks are half width, as TERMS.md says."""
    if wide := sorted(set(re.findall("[（）：？！]", japanese))):
        yield f"has the full-width signs {' '.join(wide)}"


RULES: tuple[Rule, ...] = (
    keeps_code,
    keeps_links,
    keeps_numbers,
    keeps_its_form,
    is_japanese,
    shows_its_marks,
    has_no_break_in_a_sentence,
    has_half_width_signs,
)


def _code(text: str) -> set[str]:
    return {" ".join(code.split()) for code in re.findall(r"`+([^`]+)`+", text)}


def _links(text: str) -> set[str]:
    return set(re.findall(r"\]\(([^)\s]+)\)", text)) | set(re.findall(r"https?://[^\s)>]+", text))


def _numbers(text: str) -> set[str]:
    plain = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", text)
    return set(re.findall(r"(?<![\w.])\d(?:[\d,.]*\d)?", plain))
