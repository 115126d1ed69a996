"""One round of a trace as HTML: first what the drafter says, then what the target says to it."""

from html import escape

from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.lessons.language import html_lang, marked, sentences, speaking, tr
from gemma_mtp_edu.show.views import html_tokens, visible

TEXT_SHOWN = 160  # characters of the text before the round
_ENDINGS = {
    "prefill": marked("The target writes {own!r}."),
    "plain": marked("The target writes {own!r}."),
    "none": marked("The text ends inside the drafts."),
    "bonus": marked("All drafts hold, and the target adds {own!r} as a bonus."),
    "correction": marked("The target corrects the first wrong draft to {own!r}."),
}


def step_html(
    trace: GenerationTrace, index: int, *, revealed: bool = True, lang: str | None = None
) -> str:
    """Return one round as HTML.

    Args:
        trace: A finished run.
        index: The round, 0 for the prefill.
        revealed: Whether the target's verdict is shown, or only the drafts.
        lang: "en" or "ja"; by default the language that is chosen.

    Raises:
        IndexError: There is no such round.
    """
    with speaking(lang):
        return _step_html(trace, index, revealed)


def _step_html(trace: GenerationTrace, index: int, revealed: bool) -> str:
    if not 0 <= index < len(trace.rounds):
        raise IndexError(
            tr(
                "got round {index}, need 0 to {last}: this trace has {count} rounds",
                index=index,
                last=len(trace.rounds) - 1,
                count=len(trace.rounds),
            )
        )
    record = trace.rounds[index]
    verdict = _verdict(trace, record) if revealed else tr("What will the target say? Guess first.")
    place = tr(
        "<b>Round {index} of {last}</b>, after {written} written tokens",
        index=index,
        last=len(trace.rounds) - 1,
        written=record.prefix_length - len(trace.prompt_ids),
    )
    return (
        f"<div{html_lang()} class='mtp-step'><p>{place}</p>"
        f"<p>{tr('text so far')}: <code style='white-space:pre-wrap'>"
        f"{escape(_so_far(trace, index))}</code></p><p>{_proposal(record)}</p>"
        f"<p>{html_tokens(trace, record, judged=revealed)}</p>"
        f"<p role='status' aria-live='polite'>{escape(verdict)}</p></div>"
    )


def _so_far(trace: GenerationTrace, index: int) -> str:
    written = [token for record in trace.rounds[:index] for token in record.token_ids]
    text = visible("".join(map(trace.token_text, written)))
    return text if len(text) <= TEXT_SHOWN else "..." + text[-TEXT_SHOWN:]


def _proposal(record: RoundTrace) -> str:
    if record.next_kind == "prefill":
        return tr("The target reads the prompt and writes the first token; nothing is drafted.")
    if not record.draft_ids:
        return tr("Nothing is drafted in this round.")
    count = len(record.draft_ids)
    if count == 1:
        return tr("The drafter proposes 1 token:")
    return tr("The drafter proposes {count} tokens:", count=count)


def _verdict(trace: GenerationTrace, record: RoundTrace) -> str:
    own = "" if record.next_id is None else visible(trace.token_text(record.next_id))
    written, drafted = len(record.token_ids), len(record.draft_ids)
    kept = tr("{kept} of {drafted} accepted.", kept=record.n_accepted, drafted=drafted)
    return sentences(
        kept if drafted else "",
        tr(_ENDINGS[record.next_kind], own=own),
        tr("1 token in one target pass.")
        if written == 1
        else tr("{written} tokens in one target pass.", written=written),
    )
