"""Every figure, under one name: `plots.show_figure(plots.plot_rounds(trace))`.

A function draws a new figure of its data and keeps with it, in the reader's language, an alt text
of the same data; `show_figure` shows both. The figures of one subject stand in a module, which is
imported when a figure of it is asked for; those of few lines stand here.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import FancyBboxPatch

from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.lessons.language import marked, sentences, tr
from gemma_mtp_edu.show import style
from gemma_mtp_edu.show.style import BLUE, GREEN, GREY, LINES, PINK, RED, hollow
from gemma_mtp_edu.show.views import ShownToken, shown_tokens, summary, visible

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.calibration import PassTimes
    from gemma_mtp_edu.training.target_texts import Evaluation

# Where else a name is looked for, modules that load no model library first.
_HOMES = "style views plots_cost plots_tradeoff widgets report plots_drafter".split()
# A font that matplotlib ships; what it lacks is escaped, else it would draw an empty box.
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


def __getattr__(name: str) -> Any:
    for home in () if name.startswith("_") else _HOMES:
        module = import_module(f"gemma_mtp_edu.show.{home}")
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    modules = [import_module(f"gemma_mtp_edu.show.{home}") for home in ("plots", *_HOMES)]
    return sorted({name for module in modules for name in vars(module) if name[:5] == "plot_"})


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
        for label, column, tokens in _lanes(trace, index, record):
            for x, token in enumerate(tokens, start=column):
                _draw_token(ax, x, len(labels), token)
            labels.append(label)
    ax.set_yticks(range(n_lanes), labels)
    ax.set(xlim=(-0.05, widest), ylim=(n_lanes - 0.5, -0.5), xticks=[])
    ax.set_xlabel("a dot at mid-height (·) is a space", loc="right", fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return style.told(ax, describe_rounds(trace, first=first, count=count))


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
    width, dashes = BORDERS[token.mark.border]
    box = FancyBboxPatch(
        (x + 0.04, y - 0.36), 0.9, 0.72, boxstyle="round,pad=0,rounding_size=0.08",
        facecolor=(token.mark.color, 0.12), edgecolor=token.mark.color, linewidth=width,
        linestyle=dashes,
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


def plot_pass_times(times: "PassTimes") -> Axes:
    """Draw the time of one target pass against its number of tokens, relative to the shortest.

    The dashed line is what as many tokens would take in passes of the shortest kind.
    """
    ax, shortest = style.axes(width=6), times.lengths[0]
    in_one, one_by_one = times.relative, [n / shortest for n in times.lengths]
    separate = "one by one" if shortest == 1 else f"in passes of {shortest}"
    ax.plot(times.lengths, in_one, "o-", color=BLUE, label="all in one pass (measured)")
    ax.plot(times.lengths, one_by_one, "--", color=RED, label=separate)
    ax.set(xlabel="tokens", ylabel="times as long as the shortest pass", xticks=times.lengths,
           ylim=(0, None))  # fmt: skip
    points = []
    for length, ratio in zip(times.lengths, in_one, strict=True):
        points.append(tr("over {n}: {ratio:.1f} times the shortest", n=length, ratio=ratio))
        if length != shortest:
            style.note(ax, f"{ratio:.1f}", length, ratio, 0, 6, ha="center", fontsize=9)
    alt = tr(
        "Line chart of the time of one target pass by its number of tokens, against a dashed line "
        "of that many one-token passes: {points}. Context {context} tokens.",
        points=", ".join(points),
        context=times.context_length,
    )
    return style.tidy(ax, alt, "inside")


def plot_distributions(names: Sequence[str], distributions: Mapping[str, Sequence[float]]) -> Axes:
    """Draw distributions over the tokens `names` as bars side by side."""
    ax, count = style.axes(3.2, 7), len(distributions)
    looks = hollow(BLUE), hollow(GREEN, "///"), hollow(RED, "..."), hollow(PINK, "xx")
    for index, (label, probs) in enumerate(distributions.items()):
        places = [at + (index - (count - 1) / 2) * 0.8 / count for at in range(len(names))]
        ax.bar(places, probs, 0.8 / count, label=label, **looks[index])
    shown = [visible(name) for name in names]
    ax.set_xticks(range(len(names)), shown)
    ax.set(xlabel="next token", ylabel="probability")
    bars = "; ".join(
        f"{name!r}: " + ", ".join(f"{label} {p[i]:.0%}" for label, p in distributions.items())
        for i, name in enumerate(shown)
    )
    alt = tr("Bar chart of the probability of the next token. {bars}.", bars=bars)
    return style.tidy(ax, alt, "inside")


def plot_training(
    trainings: Mapping[str, Sequence["Evaluation"]], *, reference: float | None = None
) -> Axes:
    """Draw the held-out acceptance by training step, a line for each training.

    Args:
        trainings: The evaluations of each, by name.
        reference: An acceptance to compare with, drawn as a dotted line.
    """
    ax, lines = style.axes(), []
    for (name, points), look in zip(trainings.items(), LINES, strict=False):
        steps, shares = [p.step for p in points], [p.acceptance or 0.0 for p in points]
        style.line(ax, steps, shares, look, name)
        told = map(lambda x, y: tr("{share:.0%} at step {step}", share=y, step=x), steps, shares)
        lines.append(f"{name}: " + ", ".join(told))
    alt = tr(
        "Line chart of the share of drafts that are accepted on held-out texts, by training step. "
        "{lines}.",
        lines="; ".join(lines),
    )
    if reference is not None:
        ax.axhline(reference, color=GREY, linestyle=":", label="bundled drafter")
        bound = tr("A dotted line: the bundled drafter, {share:.0%}.", share=reference)
        alt = sentences(alt, bound)
    ax.set(xlabel="training step", ylabel="held-out acceptance", ylim=(0, 1))
    return style.tidy(ax, alt, "beside")
