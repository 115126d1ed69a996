"""One round of a trace as HTML: first what the drafter says, then what the target says to it."""

from html import escape

from gemma_mtp_edu.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.views import html_tokens, visible

TEXT_SHOWN = 160  # characters of the text before the round


def step_html(trace: GenerationTrace, index: int, *, revealed: bool = True) -> str:
    """Return one round as HTML.

    Args:
        trace: A finished run.
        index: The round, 0 for the prefill.
        revealed: Whether the target's verdict is shown, or only the drafts.

    Raises:
        IndexError: There is no such round.
    """
    if not 0 <= index < len(trace.rounds):
        raise IndexError(
            f"got round {index}, need 0 to {len(trace.rounds) - 1}: this trace has "
            f"{len(trace.rounds)} rounds"
        )
    record = trace.rounds[index]
    verdict = _verdict(trace, record) if revealed else "What will the target say? Guess first."
    return (
        f"<div class='mtp-step'><p><b>Round {index} of {len(trace.rounds) - 1}</b>, after "
        f"{record.prefix_length - len(trace.prompt_ids)} written tokens</p>"
        f"<p>text so far: <code style='white-space:pre-wrap'>{escape(_so_far(trace, index))}</code>"
        f"</p><p>{_proposal(record)}</p><p>{html_tokens(trace, record, judged=revealed)}</p>"
        f"<p role='status' aria-live='polite'>{escape(verdict)}</p></div>"
    )


def _so_far(trace: GenerationTrace, index: int) -> str:
    written = [token for record in trace.rounds[:index] for token in record.token_ids]
    text = visible("".join(map(trace.token_text, written)))
    return text if len(text) <= TEXT_SHOWN else "..." + text[-TEXT_SHOWN:]


def _proposal(record: RoundTrace) -> str:
    if record.next_kind == "prefill":
        return "The target reads the prompt and writes the first token; nothing is drafted."
    if not record.draft_ids:
        return "Nothing is drafted in this round."
    count = len(record.draft_ids)
    return f"The drafter proposes {count} token{'s' if count > 1 else ''}:"


def _verdict(trace: GenerationTrace, record: RoundTrace) -> str:
    own = "" if record.next_id is None else visible(trace.token_text(record.next_id))
    endings = {
        "prefill": f"The target writes {own!r}.",
        "plain": f"The target writes {own!r}.",
        "none": "The text ends inside the drafts.",
        "bonus": f"All drafts hold, and the target adds {own!r} as a bonus.",
        "correction": f"The target corrects the first wrong draft to {own!r}.",
    }
    counts = (
        f"{record.n_accepted} of {len(record.draft_ids)} accepted. " if record.draft_ids else ""
    )
    written = len(record.token_ids)
    total = f"{written} token{'s' if written > 1 else ''} in one target pass."
    return f"{counts}{endings[record.next_kind]} {total}"
