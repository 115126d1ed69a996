"""Every figure, under one name: `plots.show_figure(plots.plot_rounds(trace))`.

A function draws its data and keeps, in the reader's language, an alt text of the same data.
"""

from importlib import import_module
from typing import Any

from matplotlib.axes import Axes
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import FancyBboxPatch

from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import sentences, tr
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.views import ShownToken, shown_tokens, summary

# Where else a name is looked for, modules that load no model library first.
_HOMES = "style views widgets report plots_drafter".split()
# A font that matplotlib ships; what it lacks is escaped, else it would draw an empty box.
FONT = "DejaVu Sans Mono"
BOX_INCHES, LANE_INCHES, LABEL_INCHES = 1.08, 0.52, 2.1
# Width and dashes of a box's border, by the name that the HTML view uses.
BORDERS = dict(solid=(2.0, "-"), dashed=(2.0, (0, (3, 1.5))), double=(3.5, "-"), dotted=(2.0, ":"))


def __getattr__(name: str) -> Any:
    for home in () if name.startswith("_") else _HOMES:
        module = import_module(f"gemma_mtp_edu.show.{home}")
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def plot_rounds(trace: GenerationTrace, *, first: int = 0, count: int = 8) -> Axes:
    """Draw `count` rounds in two lanes: what the drafter proposed, the token that the target added.

    A correction stands below the rejected draft whose place it takes, a bonus after the last draft.
    """
    rounds = trace.rounds[first : first + count]
    widest = max(max(len(r.draft_ids), len(r.token_ids)) for r in rounds)
    n_lanes = sum(1 + bool(record.draft_ids) for record in rounds)
    ax = style.axes(LANE_INCHES * n_lanes + 0.2, BOX_INCHES * widest + LABEL_INCHES)
    labels: list[str] = []
    for index, record in enumerate(rounds, start=first):
        ax.axhline(len(labels) - 0.5, color=style.DIVIDER, linewidth=0.8)
        tokens, drafted, kept = (
            shown_tokens(trace, record),
            len(record.draft_ids),
            record.n_accepted,
        )
        labels += [f"round {index}: drafter proposes {drafted}"] * bool(drafted)
        for at, token in enumerate(tokens):
            x, lane = (kept, len(labels)) if at == drafted else (at, len(labels) - 1)
            _draw_token(ax, x, lane, token)
        adds = ", adds 1" * (len(tokens) > drafted)
        labels.append(f"target keeps {kept}{adds}" if drafted else f"round {index}: target adds 1")
    ax.set_yticks(range(n_lanes), labels)
    ax.set(xlim=(-0.05, widest), ylim=(n_lanes - 0.5, -0.5), xticks=[])
    ax.set_xlabel("a dot at mid-height (·) is a space", loc="right", fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return style.tidy(ax, describe_rounds(trace, first=first, count=count))


def describe_rounds(trace: GenerationTrace, *, first: int = 0, count: int = 8) -> str:
    """Return in words what `plot_rounds` draws."""
    told = [tr("Rounds of a generation with {summary}.", summary=summary(trace))]
    for index, record in enumerate(trace.rounds[first : first + count], start=first):
        tokens = (f"{tr(t.role)} '{t.text}'" for t in shown_tokens(trace, record))
        told.append(tr("Round {index}: {tokens}.", index=index, tokens=", ".join(tokens)))
    return sentences(*told)


def plot_idea() -> Axes:
    """Draw one round that is made up: drafts, one target pass over them, and what is accepted."""
    ax, arrow = style.axes(3.6, 8.4), {"arrowstyle": "->", "color": style.GREY}
    words: dict[str, Any] = {"ha": "center", "va": "center", "family": FONT}
    own = ("·fox", "·ran", "·away", "(unused)", "(unused)")
    ax.text(0.5, 0, "newest\ntoken: A", **words)
    for x, draft in enumerate(("·fox", "·ran", "·over", "·it"), start=1):
        _draw_token(ax, x, 0, ShownToken(draft, "draft"))
    ax.barh(1, 4.8, 0.5, 0.1, **style.hollow(style.BLUE))
    ax.text(2.5, 1, "the newest token and all drafts in ONE pass", **words)
    for x, token in enumerate(own):
        ax.annotate("", (x + 0.5, 0.75), (x + 0.5, 0.38), arrowprops=arrow)
        ax.annotate("", (x + 1.4, 1.82), (x + 0.6, 1.25), arrowprops=arrow)
        ax.text(x + 1.5, 2, token, **words)
    for x, role in enumerate(("accepted", "accepted", "correction")):
        _draw_token(ax, x + 1, 3, ShownToken(own[x], role))
    ax.text(4.5, 3, "·over and ·it\nare dropped", **words)
    lanes = "1. draft:\n4 steps", "2. verify:\n1 pass", "the target's\npredictions", "3. accept"
    ax.set(xlim=(0, 6), ylim=(3.5, -0.5), xticks=[], title="One target pass, three new tokens")
    ax.set_yticks(range(4), lanes)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return style.tidy(ax, tr(
        "Diagram of a round: the drafter proposes four tokens, one target pass reads them all, "
        "accepts two, puts a correction in place of the third, and drops the rest."
    ))  # fmt: skip


def _draw_token(ax: Axes, x: int, y: int, token: ShownToken) -> None:
    width, dashes = BORDERS[token.mark.border]
    ax.add_patch(FancyBboxPatch((x + 0.04, y - 0.36), 0.9, 0.72, linewidth=width, linestyle=dashes,
                 boxstyle="round,pad=0,rounding_size=0.08", edgecolor=token.mark.color,
                 facecolor=(token.mark.color, 0.12)))  # fmt: skip
    text: dict[str, Any] = {"ha": "center", "va": "center", "parse_math": False, "family": FONT}
    has = get_font(findfont(FONT)).get_char_index  # what the font lacks is escaped
    plain = "".join(c if has(ord(c)) else ascii(c)[1:-1] for c in token.text)
    fitting = plain if len(plain) <= 11 else plain[:9] + ".."
    ax.text(x + 0.49, y - 0.11, fitting, fontsize=10, **text)
    ax.text(x + 0.49, y + 0.18, f"{token.mark.symbol} {token.role}", fontsize=8, **text)


def plot_speeds(speedups: style.Numbers) -> Axes:
    """Draw for each case in a row its speeds by name: predicted and measured, or by schedule."""
    cases, most = list(speedups.values()), max(map(len, speedups.values()))
    ax = style.axes((0.16 + 0.1 * most) * len(speedups) + 1.3)
    low, high = ([limit(numbers.values()) for numbers in cases] for limit in (min, max))
    ax.hlines(range(len(cases)), low, high, color=style.DIVIDER, zorder=1)
    for index, name in enumerate(cases[0]):
        color, _, marker = style.LINES[index % len(style.LINES)]
        # Spread over the row's height, so that equal speeds do not hide each other.
        heights = [row + 0.6 * (index - (most - 1) / 2) / most for row in range(len(cases))]
        ax.plot([case[name] for case in cases], heights, marker, color=color, label=name,
                markerfacecolor="none", markersize=7, markeredgewidth=1.8)  # fmt: skip
    ax.axvline(1, color="black", linestyle=":", label="plain decoding")
    style.in_rows(ax, speedups)
    ax.set_xlabel(style.SPEED)
    alt = tr("Marks of the speed, plain decoding being 1, in one row per case.")
    return style.tidy(ax, alt, style.listed(speedups))
