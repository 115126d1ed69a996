"""The figure of rounds: drafts in one lane, the target's own token in the next one.

Every token's role stands in its box as sign and word, beside its colour. The font is one that
matplotlib ships; what it lacks is escaped, because matplotlib would draw an empty box.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import FancyBboxPatch

from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.lessons.language import marked, sentences, tr
from gemma_mtp_edu.show.style import DIVIDER, axes, told
from gemma_mtp_edu.show.views import ShownToken, shown_tokens, summary

FONT = "DejaVu Sans Mono"
BOX_INCHES, LANE_INCHES, LABEL_INCHES = 1.08, 0.52, 2.1
# Width and dashes of a box's border, by the name that the HTML view uses.
BORDERS = {"solid": (2.0, "-"), "dashed": (2.0, (0, (3, 1.5))), "double": (3.5, "-")}
_ENDINGS = {
    "prefill": marked("the target reads the prompt and adds {own} (prefill)"),
    "plain": marked("without drafts the target adds {own} (plain)"),
    "none": marked("the text ends there"),
    "bonus": marked("the target adds {own} (bonus)"),
    "correction": marked("the target adds {own} in place of the first rejected one (correction)"),
}


def plot_rounds(trace: GenerationTrace, *, first: int = 0, count: int = 8) -> Axes:
    """Draw rounds in two lanes: what the drafter proposed, and the token that the target added.

    A correction stands below the rejected draft whose place it takes, a bonus after the last draft.

    Args:
        trace: What to draw.
        first: The first round to draw.
        count: Rounds to draw at most.
    """
    rounds = trace.rounds[first : first + count]
    widest = max(max(len(r.draft_ids), len(r.token_ids)) for r in rounds)
    n_lanes = sum(1 + bool(record.draft_ids) for record in rounds)
    ax = axes(LANE_INCHES * n_lanes + 0.2, BOX_INCHES * widest + LABEL_INCHES)
    labels: list[str] = []
    for index, record in enumerate(rounds, start=first):
        ax.axhline(len(labels) - 0.5, color=DIVIDER, linewidth=0.8)
        for label, column, tokens in _lanes(trace, index, record):
            for x, token in enumerate(tokens, start=column):
                _draw_token(ax, x, len(labels), token)
            labels.append(label)
    ax.set_yticks(range(n_lanes), labels)
    ax.set(xlim=(-0.05, widest), ylim=(n_lanes - 0.5, -0.5), xticks=[])
    ax.set_xlabel("a dot at mid-height (·) is a space", loc="right", fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return told(ax, describe_rounds(trace, first=first, count=count))


def describe_rounds(trace: GenerationTrace, *, first: int = 0, count: int = 8) -> str:
    """Return in words what `plot_rounds` draws."""
    rounds = enumerate(trace.rounds[first : first + count], start=first)
    opening = tr("Rounds of a generation with {summary}.", summary=summary(trace))
    return sentences(opening, *(_in_words(trace, index, record) for index, record in rounds))


def _in_words(trace: GenerationTrace, index: int, record: RoundTrace) -> str:
    drafts = [repr(trace.token_text(draft)) for draft in record.draft_ids]
    own = "" if record.next_id is None else repr(trace.token_text(record.next_id))
    ending = tr(_ENDINGS[record.next_kind], own=own)
    if not drafts:
        return tr("Round {index}: {ending}.", index=index, ending=ending)
    counts = tr("{accepted} accepted", accepted=record.n_accepted)
    if rejected := len(drafts) - record.n_accepted:
        counts += tr(", {rejected} rejected", rejected=rejected)
    return tr(
        "Round {index}: the drafter proposes {drafts}; {counts}; {ending}.",
        index=index,
        drafts=", ".join(drafts),
        counts=counts,
        ending=ending,
    )


def _lanes(
    trace: GenerationTrace, index: int, record: RoundTrace
) -> list[tuple[str, int, list[ShownToken]]]:
    """Return label, first column and tokens of a round's one or two lanes."""
    tokens = shown_tokens(trace, record)
    drafts, own = tokens[: len(record.draft_ids)], tokens[len(record.draft_ids) :]
    if not drafts:
        return [(f"round {index}: target adds 1", 0, own)]
    kept = f"target keeps {record.n_accepted}" + (", adds 1" if own else "")
    return [
        (f"round {index}: drafter proposes {len(drafts)}", 0, drafts),
        (kept, record.n_accepted, own),
    ]


def _draw_token(ax: Axes, x: int, y: int, token: ShownToken) -> None:
    width, style = BORDERS[token.mark.border]
    box = FancyBboxPatch(
        (x + 0.04, y - 0.36), 0.9, 0.72, boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=(token.mark.color, 0.12), edgecolor=token.mark.color, linewidth=width,
        linestyle=style,
    )  # fmt: skip
    ax.add_patch(box)
    text: dict[str, Any] = {"ha": "center", "va": "center", "parse_math": False, "family": FONT}
    ax.text(x + 0.49, y - 0.11, _drawable(token.text), fontsize=10, **text)
    ax.text(x + 0.49, y + 0.18, f"{token.mark.symbol} {token.mark.word}", fontsize=8, **text)


def _drawable(text: str, limit: int = 11) -> str:
    """Return token text that fits its box, with escapes for what the font lacks."""
    font = get_font(findfont(FONT))
    plain = "".join(c if font.get_char_index(ord(c)) else ascii(c)[1:-1] for c in text)
    return plain if len(plain) <= limit else plain[: limit - 2] + ".."
