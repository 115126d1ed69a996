"""What an examination found, as text, HTML or JSON: each finding by symbol AND word, with a fix.

Standard library only: it must work where nothing else does. Areas, names and statuses are English
wherever code sees them; the report shows them in its language.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from types import MappingProxyType
from typing import Literal

from gemma_mtp_edu.lessons.language import (
    called,
    columns,
    html_lang,
    marked,
    readable,
    speaking,
    tr,
    wrapped,
)
from gemma_mtp_edu.models.safety import without_commands, without_tokens

Status = Literal["ok", "note", "warning", "fail"]
SCHEMA = 1
NOT_CHECKED = marked("not checked: ")
LIBRARY, OURS = marked("transformers' own loop"), marked("our loop")
BUILDS, SAME_TEXT = marked("builds a drafter"), marked("same text with a drafter")
_HEADS = (marked("status"), marked("what"), marked("found"), marked("what to do"))
_WIDTH = 100
_CELL = "padding:2px 8px;vertical-align:top;text-align:left;"


class OutOfTimeError(Exception):
    """A probe took longer than there was time; its message says what of it."""


@dataclass(frozen=True, slots=True)
class Sign:
    """How a status is shown; colours from the Okabe-Ito palette, for borders only."""

    symbol: str
    ascii_symbol: str
    color: str
    meaning: str


SIGNS: Mapping[Status, Sign] = MappingProxyType(
    {
        "ok": Sign("✓", "+", "#009E73", marked("works")),
        "note": Sign("•", "-", "#0072B2", marked("good to know; nothing to do")),
        "warning": Sign("!", "!", "#CC79A7", marked("a part of the course will not work")),
        "fail": Sign(
            "✗", "x", "#D55E00", marked("the course cannot run here until this is mended")
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: What it belongs to, such as "torch".
        name: What was looked at.
        status: "ok", "note", "warning" or "fail".
        found: What is the case, in the language of the examination.
        fix: What to do about it, in that language; empty where there is nothing to do.
    """

    area: str
    name: str
    status: Status
    found: str
    fix: str = ""

    def __post_init__(self) -> None:
        # Errors of libraries are quoted here, and one of them may hold the hub's token.
        for name in ("found", "fix"):
            object.__setattr__(self, name, without_commands(without_tokens(getattr(self, name))))


@dataclass(frozen=True, slots=True)
class Report:
    """All findings, in the order in which they were made.

    Attributes:
        findings: The findings.
        seconds: How long the examination took.
        language: Of the findings, and so of all that is shown.
    """

    findings: tuple[Finding, ...]
    seconds: float
    language: str = field(default_factory=readable)

    @property
    def runs(self) -> bool:
        """Whether the course can run here."""
        return all(finding.status != "fail" for finding in self.findings)

    @property
    def unchecked(self) -> tuple[Finding, ...]:
        """What was not looked at, for want of time or because something else is broken."""
        with speaking(self.language):
            skipped = tr(NOT_CHECKED)
        return tuple(finding for finding in self.findings if finding.found.startswith(skipped))

    @property
    def exit_code(self) -> int:
        """0 where the course runs here and all was checked, else 1."""
        return 0 if self.runs and not self.unchecked else 1

    @property
    def verdict(self) -> str:
        """The result in one line."""
        counts = Counter(finding.status for finding in self.findings)
        numbers = ", ".join(f"{counts[status]} {status}" for status in SIGNS if counts[status])
        with speaking(self.language):
            answer = tr("the course runs here" if self.runs else "the course CANNOT run here yet")
            if self.runs and self.unchecked:
                answer = tr("nothing wrong so far, but not all was checked")
            return tr(
                "{answer} ({numbers}; {seconds:.1f} s)",
                answer=answer,
                numbers=numbers,
                seconds=self.seconds,
            )

    def find(self, name: str, area: str = "") -> Finding:
        """Return the first finding of that name, in an area or in any.

        Raises:
            KeyError: Nothing of that name was looked at.
        """
        for finding in self.findings:
            if finding.name == name and area in ("", finding.area):
                return finding
        raise KeyError(
            tr(
                "nothing named {name!r} was looked at; there are: {names}",
                name=name,
                names=", ".join(finding.name for finding in self.findings),
            )
        )

    def to_json(self) -> str:
        """Return everything as JSON: keys, areas, names and statuses are English always.

        `found` and `fix` are in the language of the examination, which is `language`.
        """
        content = {
            "schema": SCHEMA,
            "language": self.language,
            "runs": self.runs,
            "exit_code": self.exit_code,
            "seconds": round(self.seconds, 3),
            "findings": [asdict(finding) for finding in self.findings],
        }
        return json.dumps(content, indent=1)

    def to_text(self, *, ascii_only: bool = False) -> str:
        """Return a table for a terminal; a fix stands below its finding."""
        lines = [self.verdict]
        with speaking(self.language):
            size = max((columns(called(finding.name)) for finding in self.findings), default=0)
            for area, findings in _by_area(self.findings).items():
                lines += ["", called(area)]
                for finding in findings:
                    lines += _text_rows(finding, size, ascii_only)
        text = "\n".join(lines)
        return text.encode("ascii", "backslashreplace").decode() if ascii_only else text

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        # What a notebook shows beside the HTML, and a terminal instead of it.
        return self.to_text()

    def _repr_html_(self) -> str:
        with speaking(self.language):
            heads = "".join(f"<th scope='col' style='{_CELL}'>{tr(head)}</th>" for head in _HEADS)
            lang = html_lang()
            bodies = "".join(
                f"<tbody><tr><th scope='rowgroup' colspan='4' style='{_CELL}'>"
                f"{escape(called(area))}</th></tr>{''.join(map(_html_row, findings))}</tbody>"
                for area, findings in _by_area(self.findings).items()
            )
        return (
            f"<div{lang} class='mtp-doctor'><p>{escape(self.verdict)}</p>"
            f"<table style='border-collapse:collapse'><thead><tr>{heads}</tr></thead>"
            f"{bodies}</table></div>"
        )


def pip_install(what: str) -> str:
    """Return the fix for a package that is absent or broken.

    Args:
        what: A requirement in quotes, after pip's options.
    """
    return tr("pip install {what}  and restart Python", what=what)


def other_cache() -> str:
    """Return the fix for a folder of checkpoints that is of no use."""
    return tr("set HF_HOME to a folder of yours before Python starts")


def can_print(text: str) -> bool:
    """Return whether stdout takes these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _by_area(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    areas: dict[str, list[Finding]] = {}
    for finding in findings:
        areas.setdefault(finding.area, []).append(finding)
    return areas


def _text_rows(finding: Finding, size: int, ascii_only: bool) -> list[str]:
    sign = SIGNS[finding.status]
    symbol = sign.ascii_symbol if ascii_only else sign.symbol
    name = called(finding.name)
    head = f"  {symbol} {finding.status:7}  {name}{' ' * (size - columns(name))}  "
    indent = " " * columns(head)
    rows = wrapped(finding.found, _WIDTH - len(indent)) or [""]
    fix = wrapped(f"-> {finding.fix}", _WIDTH - len(indent)) if finding.fix else []
    return [head + rows[0], *(indent + row for row in (*rows[1:], *fix))]


def _html_row(finding: Finding) -> str:
    sign = SIGNS[finding.status]
    cells = "".join(
        f"<td style='{_CELL}'>{escape(text)}</td>"
        for text in (called(finding.name), finding.found, finding.fix)
    )
    return (
        f"<tr><td style='{_CELL}border-left:4px solid {sign.color};white-space:nowrap' "
        f"title='{escape(tr(sign.meaning))}'>{sign.symbol} {finding.status}</td>{cells}</tr>"
    )
