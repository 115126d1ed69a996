"""A trace as text and as HTML: every token's role by symbol AND word AND colour.

Token text comes from a model and may be anything, so all of it is escaped and whitespace is made
visible. Colours are borders only: text keeps the page's own colour, in light and dark themes.
"""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from jinja2 import Environment
from markupsafe import Markup

from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.lessons.language import html_lang, marked, sentences, speaking, tr
from gemma_mtp_edu.show.style import BLUE, GREEN, PINK, RED, SKY

Role = Literal["draft", "accepted", "rejected", "correction", "bonus", "prefill", "plain"]
ROUNDS_LISTED = 40
TEXT_SHOWN = 160  # characters of the text before a round


@dataclass(frozen=True, slots=True)
class Mark:
    """How a role is drawn: by a sign, by a border, in words. Words are translated where shown."""

    symbol: str
    ascii_symbol: str
    color: str
    border: str
    word: str
    meaning: str


# All colours reach the contrast of 3 to 1 that graphics need, on white pages and on dark ones.
MARKS: dict[Role, Mark] = {
    "draft": Mark("?", "?", "#767676", "dotted", marked("draft"),
                  marked("draft that is not verified yet")),
    "accepted": Mark("✓", "+", GREEN, "solid", marked("accepted"),
                     marked("draft that the target agreed with")),
    "rejected": Mark("✗", "x", RED, "dashed", marked("rejected"),
                     marked("draft that was thrown away")),
    "correction": Mark("▸", ">", BLUE, "double", marked("correction"),
                       marked("target's token in place of a rejected draft")),
    "bonus": Mark("★", "*", PINK, "double", marked("bonus"),
                  marked("target's token after drafts that all held")),
    "prefill": Mark("▹", "^", SKY, "double", marked("prefill"),
                    marked("first token, from reading the prompt")),
    "plain": Mark("▹", "^", SKY, "double", marked("plain"),
                  marked("target's token of a pass without drafts")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ShownToken:
    """One token of a round with its role and both models' probability of it, where known."""

    text: str
    role: Role
    draft_prob: float | None = None
    target_prob: float | None = None

    @property
    def mark(self) -> Mark:
        """How it is drawn."""
        return MARKS[self.role]

    @property
    def label(self) -> str:
        """All of it in words, for who points at it or hears it."""
        label = f"{tr(self.mark.word)}: {self.text}"
        if self.draft_prob is not None:
            label += tr(", drafter {prob:.0%}", prob=self.draft_prob)
        if self.target_prob is not None:
            label += tr(", target {prob:.0%}", prob=self.target_prob)
        return label


def shown_tokens(
    trace: GenerationTrace, record: RoundTrace, *, verified: bool = True
) -> list[ShownToken]:
    """Return a round's tokens: accepted drafts, rejected drafts, the target's own token.

    With `verified=False` only what the drafter knows: the drafts and its probabilities.
    """
    tokens = []
    known = zip_longest(record.draft_ids, record.draft_probs, record.target_probs)
    for index, (draft, own, target) in enumerate(known):
        role: Role = "accepted" if index < record.n_accepted else "rejected"
        shown = (role, own, target) if verified else ("draft", own)
        tokens.append(ShownToken(visible(trace.token_text(draft)), *shown))
    if verified and record.next_id is not None and record.next_kind != "none":
        tokens.append(ShownToken(visible(trace.token_text(record.next_id)), record.next_kind))
    return tokens


def visible(text: str) -> str:
    r"""Return token text with all shown that would not be seen: `·` space, `↵` new line, `⇥` tab.

    Other control characters, and those that turn the direction of writing, become signs or numbers:
    in a terminal they would be commands, on a page they could hide or swap what follows.

    >>> visible(" a\n"), visible("\x1b[2J"), visible("\u202e")
    ('·a↵', '␛[2J', '<U+202E>')
    """
    return text.translate(_SHOWN)


_SHOWN = {code: chr(0x2400 + code) for code in range(0x20)}
_SHOWN |= {code: f"<U+{code:04X}>" for code in (*range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F)}
_SHOWN |= {code: f"<U+{code:04X}>" for code in (*range(0x2028, 0x202F), *range(0x2066, 0x206A))}
_SHOWN |= {ord(" "): "·", ord("\n"): "↵", ord("\t"): "⇥"}


def summary(trace: GenerationTrace) -> str:
    """Return one sentence of counts."""
    passes, tokens = trace.target_passes, len(trace.token_ids)
    if not trace.drafter_passes:
        return tr("{tokens} tokens in {passes} target passes", tokens=tokens, passes=passes)
    return tr(
        "{tokens} tokens in {passes} target passes, {accepted} of {drafted} drafts accepted "
        "({rate:.0%}), {per_round:.2f} tokens per round",
        tokens=tokens,
        passes=passes,
        accepted=trace.n_accepted,
        drafted=trace.drafter_passes,
        rate=trace.acceptance_rate,
        per_round=trace.tokens_per_round,
    )


def text_view(trace: GenerationTrace, *, ascii_only: bool = False) -> str:
    """Return the rounds as plain text, one line each, with a legend and a summary.

    Args:
        trace: What to show.
        ascii_only: Use ASCII symbols and English, for terminals that cannot show others.
    """

    def sign(mark: Mark) -> str:
        return mark.ascii_symbol if ascii_only else mark.symbol

    with speaking("en" if ascii_only else None):
        lines = [f"  {sign(m)} {tr(m.word)}: {tr(m.meaning)}" for m in _legend(trace)]
        for index, record in enumerate(trace.rounds[:ROUNDS_LISTED]):
            tokens = " ".join(f"[{sign(t.mark)} {t.text}]" for t in shown_tokens(trace, record))
            counts = f"{record.n_accepted}/{len(record.draft_ids)}" if record.draft_ids else "-"
            lines.append(f"{tr('round')} {index:>3}  {counts:>5}  {tokens}")
        lines += [*more_rounds(len(trace.rounds) - ROUNDS_LISTED), summary(trace)]
    text = "\n".join(lines)
    return text.encode("ascii", "backslashreplace").decode() if ascii_only else text


def _legend(trace: GenerationTrace) -> list[Mark]:
    """Return the marks of the roles that occur."""
    roles = {t.role for r in trace.rounds for t in shown_tokens(trace, r)}
    return [mark for role, mark in MARKS.items() if role in roles]


def more_rounds(count: int) -> list[str]:
    """Return a line for the rounds that are not listed; none where there are none."""
    if count == 1:
        return [tr("... and one more round")]
    return [tr("... and {count} more rounds", count=count)] if count > 0 else []


def page(template: str, **values: Any) -> str:
    """Return HTML of a jinja2 template: no script, no outside file, every value escaped.

    Args:
        template: Elements around `{{ values }}`; `lang` and `cell` are attributes for it.
        **values: What they stand for; only `Markup` goes in as it is.
    """
    filled = _TEMPLATES.from_string(template)
    return filled.render(values, lang=Markup(html_lang()), cell=_CELL)


_TEMPLATES = Environment(autoescape=True)
_CELL = "padding:2px 8px;vertical-align:top;"


def html_tokens(trace: GenerationTrace, record: RoundTrace, *, verified: bool = True) -> Markup:
    """Return a round's tokens as HTML; `verified` as in `shown_tokens`."""
    chips = page(
        "{% for token in tokens %}{{ '' if loop.first else ' ' }}"
        "<span role='img' aria-label='{{ token.label }}' title='{{ token.label }}' "
        "style='display:inline-block;margin:1px;padding:0 4px;border:2px {{ token.mark.border }} "
        "{{ token.mark.color }};border-radius:4px;font-family:monospace;white-space:pre-wrap;"
        "overflow-wrap:anywhere'>{{ token.mark.symbol }} {{ token.text }}</span>{% endfor %}",
        tokens=shown_tokens(trace, record, verified=verified),
    )
    return Markup(chips)


def html_view(trace: GenerationTrace) -> str:
    """Return the rounds as an HTML table, in the language of the moment."""
    rows = [
        (tr("{part} of {whole}", part=r.n_accepted, whole=len(r.draft_ids)), html_tokens(trace, r))
        for r in trace.rounds[:ROUNDS_LISTED]
    ]
    return page(
        "<div{{ lang }} class='mtp-rounds'><p>{{ summary }}</p><p>{% for sign, word, meaning in "
        "legend %}{{ '' if loop.first else '; ' }}{{ sign }} <b>{{ word }}</b>: {{ meaning }}"
        "{% endfor %}</p><table style='border-collapse:collapse'><thead><tr>{% for head in heads %}"
        "<th scope='col' style='{{ cell }}{{ 'text-align:left' if loop.last }}'>{{ head }}</th>"
        "{% endfor %}</tr></thead>"
        "<tbody>{% for counts, tokens in rows %}<tr>"
        "<th scope='row' style='{{ cell }}'>{{ loop.index0 }}</th>"
        "<td style='{{ cell }}'>{{ counts }}</td>"
        "<td style='{{ cell }}text-align:left'>{{ tokens }}</td></tr>{% endfor %}</tbody></table>"
        "{% for line in more %}<p>{{ line }}</p>{% endfor %}</div>",
        summary=summary(trace),
        legend=[(mark.symbol, tr(mark.word), tr(mark.meaning)) for mark in _legend(trace)],
        heads=(tr("round"), tr("accepted"), tr("tokens")),
        rows=rows,
        more=more_rounds(len(trace.rounds) - ROUNDS_LISTED),
    )


def step_html(
    trace: GenerationTrace, index: int, *, revealed: bool = True, lang: str | None = None
) -> str:
    """Return one round as HTML: first what the drafter says, then what the target says to it.

    Args:
        trace: A finished run.
        index: The round, 0 for the prefill.
        revealed: Whether the target's verdict is shown, or only the drafts.
        lang: "en" or "ja"; by default the language that is chosen.
    """
    with speaking(lang):
        record, ids = trace.rounds[index], [t for r in trace.rounds[:index] for t in r.token_ids]
        text, count = visible("".join(map(trace.token_text, ids))), len(record.draft_ids)
        # Its template has an element, its values are numbers.
        heading = Markup(
            tr(
                "<b>Round {index} of {last}</b>, after {written} written tokens",
                index=index,
                last=len(trace.rounds) - 1,
                written=record.prefix_length - len(trace.prompt_ids),
            )
        )
        guess = tr("What will the target say? Guess first.")
        return page(
            "<div{{ lang }} class='mtp-step'><p>{{ heading }}</p>"
            "<p>{{ so_far }}: <code style='white-space:pre-wrap'>{{ text }}</code></p>"
            "<p>{{ proposal }}</p><p>{{ tokens }}</p>"
            "<p role='status' aria-live='polite'>{{ verdict }}</p></div>",
            heading=heading,
            so_far=tr("text so far"),
            text=text if len(text) <= TEXT_SHOWN else "..." + text[-TEXT_SHOWN:],
            proposal=_proposal(record, count),
            tokens=html_tokens(trace, record, verified=revealed),
            verdict=_verdict(trace, record, count) if revealed else guess,
        )


def _proposal(record: RoundTrace, count: int) -> str:
    if record.next_kind == "prefill":
        return tr("The target reads the prompt and writes the first token; nothing is drafted.")
    if count == 0:
        return tr("Nothing is drafted in this round.")
    if count == 1:
        return tr("The drafter proposes 1 token:")
    return tr("The drafter proposes {count} tokens:", count=count)


_ENDINGS = {
    "prefill": marked("The target writes {own!r}."),
    "plain": marked("The target writes {own!r}."),
    "none": marked("The text ends inside the drafts."),
    "bonus": marked("All drafts hold, and the target adds {own!r} as a bonus."),
    "correction": marked("The target corrects the first wrong draft to {own!r}."),
}


def _verdict(trace: GenerationTrace, record: RoundTrace, drafted: int) -> str:
    own = "" if record.next_id is None else visible(trace.token_text(record.next_id))
    kept = tr("{kept} of {drafted} accepted.", kept=record.n_accepted, drafted=drafted)
    written = len(record.token_ids)
    passed = tr("{written} tokens in one target pass.", written=written)
    if written == 1:
        passed = tr("1 token in one target pass.")
    return sentences(kept if drafted else "", tr(_ENDINGS[record.next_kind], own=own), passed)
