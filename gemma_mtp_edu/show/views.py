"""A trace as text and as HTML: every token's role by symbol AND word AND colour.

Token text comes from a model and may be anything, so all of it is escaped and whitespace is made
visible. Colours are borders only: text keeps the page's own colour, in light and dark themes.
"""

from itertools import zip_longest
from operator import attrgetter
from typing import Any, NamedTuple

from jinja2 import Environment
from markupsafe import Markup

from gemma_mtp_edu import for_console
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.lessons.language import html_lang, marked, sentences, speaking, tr
from gemma_mtp_edu.show.style import BLUE, GREEN, PINK, RED, SKY

ROUNDS_LISTED = 40
TEXT_SHOWN = 160  # characters of the text before a round


class Mark(NamedTuple):
    """How a role is drawn: by a sign, by a border, and what it means."""

    symbol: str
    ascii_symbol: str
    color: str
    meaning: str
    border: str = "double"


# By role. All colours reach the contrast of 3 to 1 that graphics need, on white and dark pages.
MARKS: dict[str, Mark] = {
    marked("draft"): Mark("?", "?", "#767676", marked("draft that is not verified yet"), "dotted"),
    marked("accepted"): Mark("✓", "+", GREEN, marked("draft that the target agreed with"), "solid"),
    marked("rejected"): Mark("✗", "x", RED, marked("draft that was thrown away"), "dashed"),
    marked("dropped"): Mark("○", "o", "#767676", marked("draft after the text's end"), "dashed"),
    marked("correction"): Mark(
        "▸", ">", BLUE, marked("target's token in place of a rejected draft")
    ),
    marked("bonus"): Mark("★", "*", PINK, marked("target's token after drafts all accepted")),
    marked("prefill"): Mark("▹", "^", SKY, marked("first token, from reading the prompt")),
    marked("plain"): Mark("▹", "^", SKY, marked("target's token of a pass without drafts")),
}


class ShownToken(NamedTuple):
    """One token of a round with its role and both models' probability of it, where known."""

    text: str
    role: str
    draft_prob: float | None = None
    target_prob: float | None = None

    @property
    def mark(self) -> Mark:
        """How it is drawn."""
        return MARKS[self.role]

    @property
    def label(self) -> str:
        """All of it in words, for who points at it or hears it."""
        own, target = self.draft_prob, self.target_prob
        drafter = "" if own is None else tr(", drafter {prob:.0%}", prob=own)
        verdict = "" if target is None else tr(", target {prob:.0%}", prob=target)
        return f"{tr(self.role)}: {self.text}{drafter}{verdict}"


def shown_tokens(trace: GenerationTrace, record: RoundTrace, *,
                 verified: bool = True) -> list[ShownToken]:  # fmt: skip
    """Return a round's tokens: accepted drafts, rejected or dropped ones, the target's own token.

    With `verified=False` only what the drafter knows: the drafts and its probabilities.
    """
    tokens, after = [], "dropped" if record.next_kind == "none" else "rejected"
    known = zip_longest(record.draft_ids, record.draft_probs, record.target_probs)
    for index, (draft, own, target) in enumerate(known):
        role = "accepted" if index < record.n_accepted else after
        shown = (role, own, target) if verified else ("draft", own)
        tokens.append(ShownToken(visible(trace.token_text(draft)), *shown))
    if verified and record.next_id is not None and record.next_kind != "none":
        tokens.append(ShownToken(visible(trace.token_text(record.next_id)), record.next_kind))
    return tokens


def visible(text: str) -> str:
    """Return token text with all shown that would not be seen: `·` space, `↵` new line, `⇥` tab.

    Other control characters and turns of direction become signs such as `␛` or `<U+202E>`: in a
    terminal they would be commands, on a page they could hide or swap what follows.
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
    return tr("{tokens} tokens in {passes} target passes, {accepted} of {drafted} drafts accepted "
              "({rate:.0%}), {per_round:.2f} tokens per round", tokens=tokens, passes=passes,
              accepted=trace.n_accepted, drafted=trace.drafter_passes, rate=trace.acceptance_rate,
              per_round=trace.tokens_per_round)  # fmt: skip


def text_view(trace: GenerationTrace) -> str:
    """Return the rounds as lines with a legend and a summary, in signs that a console has."""
    signs = "".join(mark.symbol for mark in MARKS.values())
    sign = attrgetter("symbol" if for_console(signs) == signs else "ascii_symbol")
    lines = [f"  {sign(m)} {tr(role)}: {tr(m.meaning)}" for role, m in _legend(trace).items()]
    for index, record in enumerate(trace.rounds[:ROUNDS_LISTED]):
        tokens = " ".join(f"[{sign(t.mark)} {t.text}]" for t in shown_tokens(trace, record))
        counts = f"{record.n_accepted}/{len(record.draft_ids)}" if record.draft_ids else "-"
        lines.append(f"{tr('round')} {index:>3}  {counts:>5}  {tokens}")
    lines += [*more_rounds(len(trace.rounds) - ROUNDS_LISTED), summary(trace)]
    return for_console("\n".join(lines))


def _legend(trace: GenerationTrace) -> dict[str, Mark]:
    roles = {t.role for r in trace.rounds for t in shown_tokens(trace, r)}
    return {role: mark for role, mark in MARKS.items() if role in roles}


def more_rounds(count: int) -> list[str]:
    """Return a line for the rounds that are not listed; none where there are none."""
    return [tr("... and more rounds: {count}", count=count)] if count > 0 else []


def page(template: str, **values: Any) -> Markup:
    """Return HTML of a jinja2 template: no script, no outside file, all but `Markup` escaped."""
    lang, cell = Markup(html_lang()), "padding:2px 8px;vertical-align:top;"
    return Markup(_TEMPLATES.from_string(template).render(values, lang=lang, cell=cell))


_TEMPLATES = Environment(autoescape=True)


def html_tokens(trace: GenerationTrace, record: RoundTrace, *, verified: bool = True) -> Markup:
    """Return a round's tokens as HTML; `verified` as in `shown_tokens`."""
    return page(
        "{% for token in tokens %}{{ '' if loop.first else ' ' }}"
        "<span role='img' aria-label='{{ token.label }}' title='{{ token.label }}' "
        "style='display:inline-block;margin:1px;padding:0 4px;border:2px {{ token.mark.border }} "
        "{{ token.mark.color }};border-radius:4px;font-family:monospace;white-space:pre-wrap;"
        "overflow-wrap:anywhere'>{{ token.mark.symbol }} {{ token.text }}</span>{% endfor %}",
        tokens=shown_tokens(trace, record, verified=verified),
    )


def html_view(trace: GenerationTrace) -> str:
    """Return the rounds as an HTML table, in the language of the moment."""
    return page(
        "<div{{ lang }} class='mtp-rounds'><p>{{ summary }}</p><p>{% for role, mark in legend "
        ".items() %}{{ '' if loop.first else '; ' }}{{ mark.symbol }} <b>{{ tr(role) }}</b>: "
        "{{ tr(mark.meaning) }}{% endfor %}</p><table style='border-collapse:collapse'><thead><tr>"
        "{% for head in heads %}<th scope='col' style='{{ cell }}text-align:left'>{{ head }}</th>"
        "{% endfor %}</tr></thead><tbody>{% for round in rounds %}<tr>"
        "<th scope='row' style='{{ cell }}'>{{ loop.index0 }}</th><td style='{{ cell }}'>"
        "{{ tr(counts, part=round.n_accepted, whole=round.draft_ids|count) }}</td>"
        "<td style='{{ cell }}text-align:left'>{{ tokens(trace, round) }}</td></tr>"
        "{% endfor %}</tbody></table>{% for line in more %}<p>{{ line }}</p>{% endfor %}</div>",
        summary=summary(trace), legend=_legend(trace), rounds=trace.rounds[:ROUNDS_LISTED],
        more=more_rounds(len(trace.rounds) - ROUNDS_LISTED), trace=trace, tokens=html_tokens,
        heads=(tr("round"), tr("accepted"), tr("tokens")), tr=tr,
        counts=marked("{part} of {whole}"))  # fmt: skip


_ENDINGS = {
    "none": marked("The text ends inside the drafts."),
    "bonus": marked("All drafts hold, and the target adds {own!r} as a bonus."),
    "correction": marked("The target corrects the first wrong draft to {own!r}."),
}
_READS = marked("The target reads the prompt and writes the first token; nothing is drafted.")


def step_html(trace: GenerationTrace, index: int, *, revealed: bool = True,
              lang: str | None = None) -> str:  # fmt: skip
    """Return one round, 0 is the prefill, as HTML; `revealed` with the target's verdict."""
    with speaking(lang):
        record, ids = trace.rounds[index], [t for r in trace.rounds[:index] for t in r.token_ids]
        drafted, text = len(record.draft_ids), visible(trace.text_of(ids))
        proposal = tr("Tokens that the drafter proposes: {count}", count=drafted)
        if not drafted:
            none = marked("Nothing is drafted in this round.")
            proposal = tr(_READS if record.next_kind == "prefill" else none)
        verdict = tr("What will the target say? Guess first.")
        if revealed:
            own = "" if record.next_id is None else visible(trace.token_text(record.next_id))
            kept = tr("{kept} of {drafted} accepted.", kept=record.n_accepted, drafted=drafted)
            plain = marked("The target writes {own!r}.")
            ending = tr(_ENDINGS.get(record.next_kind, plain), own=own)
            passed = tr("Tokens written in one target pass: {written}.",
                        written=len(record.token_ids))  # fmt: skip
            verdict = sentences(kept if drafted else "", ending, passed)
        # Its template has an element, its values are numbers.
        heading = tr("<b>Round {index} of {last}</b>, after {written} written tokens",
                     index=index, last=len(trace.rounds) - 1, written=len(ids))  # fmt: skip
        return page(
            "<div{{ lang }} class='mtp-step'><p>{{ heading }}</p>"
            "<p>{{ so_far }}: <code style='white-space:pre-wrap'>{{ text }}</code></p>"
            "<p>{{ proposal }}</p><p>{{ tokens }}</p>"
            "<p role='status' aria-live='polite'>{{ verdict }}</p></div>",
            heading=Markup(heading), so_far=tr("text so far"), proposal=proposal, verdict=verdict,
            text=text if len(text) <= TEXT_SHOWN else "..." + text[-TEXT_SHOWN:],
            tokens=html_tokens(trace, record, verified=revealed))  # fmt: skip
