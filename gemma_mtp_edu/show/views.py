"""Show a trace as text or HTML: every token's role by symbol AND word AND colour.

Token text comes from a model and may be anything, so all of it is escaped and whitespace is made
visible. Colours are borders only: text keeps the page's own colour, in light and dark themes.
"""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from gemma_mtp_edu.analysis.needed_records import need_trace
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.lessons.language import html_lang, marked, speaking, tr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Role = Literal["draft", "accepted", "rejected", "correction", "bonus", "prefill", "plain"]


SKY = "#3A8FC4"


@dataclass(frozen=True, slots=True)
class Mark:
    """How a role is drawn. Words are translated where shown.

    Colours are the Okabe-Ito palette's, its sky blue darkened: all of them reach the contrast of 3
    to 1 that graphics need, on white pages and on dark ones.
    """

    symbol: str
    ascii_symbol: str
    color: str
    border: str
    meaning: str


MARKS: dict[Role, Mark] = {
    "draft": Mark("?", "?", "#767676", "dotted", marked("draft that is not judged yet")),
    "accepted": Mark("✓", "+", "#009E73", "solid", marked("draft that the target agreed with")),
    "rejected": Mark("✗", "x", "#D55E00", "dashed", marked("draft that was thrown away")),
    "correction": Mark(
        "▸", ">", "#0072B2", "double", marked("target's token in place of a rejected draft")
    ),
    "bonus": Mark(
        "★", "*", "#CC79A7", "double", marked("target's token after drafts that all held")
    ),
    "prefill": Mark("▹", "^", SKY, "double", marked("first token, from reading the prompt")),
    "plain": Mark("▹", "^", SKY, "double", marked("target's token of a pass without drafts")),
}
ROLE_WORDS: dict[Role, str] = {
    "draft": marked("draft"),
    "accepted": marked("accepted"),
    "rejected": marked("rejected"),
    "correction": marked("correction"),
    "bonus": marked("bonus"),
    "prefill": marked("prefill"),
    "plain": marked("plain"),
}


@dataclass(frozen=True, slots=True)
class ShownToken:
    """One token of a round with its role and both models' probability of it, where known."""

    text: str
    role: Role
    draft_prob: float | None = None
    target_prob: float | None = None


def shown_tokens(
    trace: GenerationTrace, record: RoundTrace, *, judged: bool = True
) -> list[ShownToken]:
    """Return a round's tokens: accepted drafts, rejected drafts, the target's own token.

    With `judged=False` only what the drafter knows: the drafts and its probabilities.
    """
    tokens = []
    for index, draft in enumerate(record.draft_ids):
        own = record.draft_probs[index] if index < len(record.draft_probs) else None
        target = record.target_probs[index] if index < len(record.target_probs) else None
        role: Role = "accepted" if index < record.n_accepted else "rejected"
        text = visible(trace.token_text(draft))
        tokens.append(
            ShownToken(text, role, own, target) if judged else ShownToken(text, "draft", own)
        )
    if not judged:
        return tokens
    if record.next_id is not None and record.next_kind != "none":
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


def text_view(trace: GenerationTrace, *, ascii_only: bool = False, max_rounds: int = 40) -> str:
    """Return the rounds as plain text, one line each, with a legend and a summary.

    Args:
        trace: What to show.
        ascii_only: Use ASCII symbols and English, for terminals that cannot show others.
        max_rounds: Rounds to list; the rest is counted in one line.
    """
    if ascii_only:
        with speaking("en"):
            text = "\n".join(_text_lines(trace, max_rounds, ascii_only=True))
        return text.encode("ascii", "backslashreplace").decode()
    return "\n".join(_text_lines(trace, max_rounds))


def _text_lines(
    trace: GenerationTrace, max_rounds: int, *, ascii_only: bool = False
) -> Iterator[str]:
    roles = _roles(trace)
    for role, mark in MARKS.items():
        if role in roles:
            yield f"  {_symbol(role, ascii_only)} {tr(ROLE_WORDS[role])}: {tr(mark.meaning)}"
    for index, record in enumerate(trace.rounds[:max_rounds]):
        tokens = " ".join(
            f"[{_symbol(t.role, ascii_only)} {t.text}]" for t in shown_tokens(trace, record)
        )
        counts = f"{record.n_accepted}/{len(record.draft_ids)}" if record.draft_ids else "-"
        yield f"{tr('round')} {index:>3}  {counts:>5}  {tokens}"
    if more := more_rounds(len(trace.rounds) - max_rounds):
        yield more
    yield summary(trace)


def more_rounds(count: int) -> str:
    """Return a line for the rounds that are not listed; nothing where there are none."""
    if count == 1:
        return tr("... and one more round")
    return tr("... and {count} more rounds", count=count) if count > 0 else ""


def html_view(trace: GenerationTrace, *, max_rounds: int = 40) -> str:
    """Return the rounds as an HTML table that needs no script and no outside file.

    Raises:
        ValueError: It is no trace.
    """
    need_trace(trace)
    rows = "".join(
        f"<tr><th scope='row' style='{_CELL}'>{index}</th>"
        f"<td style='{_CELL}'>{_of(record.n_accepted, len(record.draft_ids))}</td>"
        f"<td style='{_CELL}text-align:left'>{html_tokens(trace, record)}</td></tr>"
        for index, record in enumerate(trace.rounds[:max_rounds])
    )
    more = more_rounds(len(trace.rounds) - max_rounds)
    return (
        f"<div{html_lang()} class='mtp-rounds'><p>{escape(summary(trace))}</p>"
        f"<p>{_html_legend(trace)}</p>"
        "<table style='border-collapse:collapse'><thead><tr>"
        f"<th scope='col' style='{_CELL}'>{tr('round')}</th>"
        f"<th scope='col' style='{_CELL}'>{tr('accepted')}</th>"
        f"<th scope='col' style='{_CELL}text-align:left'>{tr('tokens')}</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>{f'<p>{more}</p>' if more else ''}</div>"
    )


def show_figure(figure: "Figure", alt: str) -> None:
    """Display a figure in the notebook as an image with a text for those who cannot see it.

    Args:
        figure: A matplotlib figure; it is closed.
        alt: What the picture shows, in a sentence or two.

    Raises:
        ValueError: The text is empty.
    """
    from IPython.display import HTML, display

    display(HTML(figure_html(figure, alt)))


def figure_html(figure: "Figure", alt: str) -> str:
    """Return a figure as an `img` element that holds the picture; `show_figure` says more."""
    import matplotlib.pyplot as plt

    if not alt.strip():
        raise ValueError(
            tr("got an empty alt text, need a sentence that says what the figure shows")
        )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    data = base64.b64encode(_with_few_colors(buffer)).decode("ascii")
    words = f'{html_lang()} alt="{escape(alt)}"'
    return f'<img{words} src="data:image/png;base64,{data}" style="max-width:100%">'


def _with_few_colors(png: io.BytesIO) -> bytes:
    """Return a picture with a palette: a drawing needs no more, and notebooks stay small."""
    from PIL import Image  # matplotlib brings it

    small = io.BytesIO()
    picture = Image.open(png).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return small.getvalue()


_CELL = "padding:2px 8px;vertical-align:top;"


def _of(part: int, whole: int) -> str:
    return tr("{part} of {whole}", part=part, whole=whole)


def _roles(trace: GenerationTrace) -> set[Role]:
    """Return the roles that occur, for the legends."""
    return {t.role for r in trace.rounds for t in shown_tokens(trace, r)}


def _symbol(role: Role, ascii_only: bool) -> str:
    return MARKS[role].ascii_symbol if ascii_only else MARKS[role].symbol


def html_tokens(trace: GenerationTrace, record: RoundTrace, *, judged: bool = True) -> str:
    """Return a round's tokens as HTML; `judged` as in `shown_tokens`."""
    return " ".join(map(_html_token, shown_tokens(trace, record, judged=judged)))


def _html_token(token: ShownToken) -> str:
    # Symbol and frame; role and probabilities stand in words for who points at it or hears it.
    mark = MARKS[token.role]
    label = f"{tr(ROLE_WORDS[token.role])}: {token.text}"
    if token.draft_prob is not None:
        label += tr(", drafter {prob:.0%}", prob=token.draft_prob)
    if token.target_prob is not None:
        label += tr(", target {prob:.0%}", prob=token.target_prob)
    return (
        f"<span role='img' aria-label='{escape(label)}' title='{escape(label)}' "
        f"style='display:inline-block;margin:1px;padding:0 4px;border:2px {mark.border} "
        f"{mark.color};border-radius:4px;font-family:monospace;white-space:pre-wrap;"
        f"overflow-wrap:anywhere'>"
        f"{mark.symbol} {escape(token.text)}</span>"
    )


def _html_legend(trace: GenerationTrace) -> str:
    roles = _roles(trace)
    return "; ".join(
        f"{mark.symbol} <b>{tr(ROLE_WORDS[role])}</b>: {tr(mark.meaning)}"
        for role, mark in MARKS.items()
        if role in roles
    )
