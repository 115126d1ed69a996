"""The demo: one prompt, plain and assisted in the same run, every round shown."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from gemma_mtp_edu.analysis.reference import reference_generate
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.findings import can_print
from gemma_mtp_edu.lessons.language import speaking, tr
from gemma_mtp_edu.models.pairs import ModelPair, load_pair
from gemma_mtp_edu.show.views import text_view

WARM_UP_TOKENS = 8
_CONDITIONS = ("pair", "dtype", "device", "threads", "transformers")


def run(prompt: str, pair_name: str, *, gamma: int | None, max_new_tokens: int) -> None:
    """Generate plainly and assisted, print text, rounds, saved passes and the time ratio.

    Args:
        prompt: A user's message.
        pair_name: What `load_pair` takes.
        gamma: Drafts per round; by default what the drafter's configuration says.
        max_new_tokens: Tokens to write at most.
    """
    pair = load_pair(pair_name)
    plain, assisted = compare(pair, prompt, gamma=gamma, max_new_tokens=max_new_tokens)
    ascii_only = not can_print("✓★·")
    # A terminal without signs has no Japanese either.
    with speaking("en" if ascii_only else None):
        print(f"{tr('prompt')}: {prompt}\n\n{assisted.text}\n")
        print(text_view(assisted, ascii_only=ascii_only))
        print(report(plain, assisted))


def compare(
    pair: ModelPair, prompt: str, *, gamma: int | None = None, max_new_tokens: int = 256
) -> tuple[GenerationTrace, GenerationTrace]:
    """Return a plain and an assisted run of one prompt, after a short warm-up of each."""
    for assisted in (False, True):
        reference_generate(
            pair, prompt, assisted=assisted, gamma=gamma, max_new_tokens=WARM_UP_TOKENS
        )
    traces = []
    for assisted in (False, True):
        with progress(tr("assisted" if assisted else "plain"), max_new_tokens) as on_tokens:
            traces.append(
                reference_generate(
                    pair,
                    prompt,
                    assisted=assisted,
                    gamma=gamma,
                    max_new_tokens=max_new_tokens,
                    on_tokens=on_tokens,
                )
            )
    return traces[0], traces[1]


def report(plain: GenerationTrace, assisted: GenerationTrace) -> str:
    """Return what the drafter saved, in passes and in time, and whether the texts are the same."""
    saved = plain.target_passes - assisted.target_passes
    ratio = plain.seconds / assisted.seconds
    same = plain.token_ids == assisted.token_ids
    passes = tr(
        "{assisted} instead of {plain} ({saved} saved)",
        assisted=assisted.target_passes,
        plain=plain.target_passes,
        saved=saved,
    )
    time = tr(
        "{assisted:.2f} s instead of {plain:.2f} s, {ratio:.2f}x ({pair} pair, {dtype}, {device}, "
        "{threads} threads, transformers {transformers})",
        assisted=assisted.seconds,
        plain=plain.seconds,
        ratio=ratio,
        **{key: assisted.provenance[key] for key in _CONDITIONS},
    )
    text = tr("identical to plain generation" if same else "DIFFERENT to plain generation")
    return f"{tr('target passes')}: {passes}\n{tr('time')}: {time}\n{tr('text')}: {text}"


@contextmanager
def progress(label: str, total: int) -> Iterator[Any]:
    """Show a progress bar of tokens on stderr once a run takes more than two seconds."""
    with tqdm(total=total, desc=label, unit="token", delay=2, leave=False) as bar:
        yield lambda tokens: bar.update(len(tokens))
