"""Texts in the target's own words, to train a drafter on and to judge it by.

A drafter must guess what this target writes, so nobody else's text will do as well.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm

from gemma_mtp_edu.analysis.reference import OnlyNumbers, drawing, plain_view
from gemma_mtp_edu.core.arguments import whole
from gemma_mtp_edu.core.decoding import autoregressive_generate
from gemma_mtp_edu.core.sampling import Settings
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pairs import ModelPair, check_is_pair, eos_ids
from gemma_mtp_edu.training.distillation import Texts


def own_texts(
    pair: ModelPair,
    prompts: Sequence[str | torch.Tensor],
    *,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    batch_size: int = 16,
) -> list[Texts]:
    """Let the target answer prompts, several at a time, and return batches to train on.

    Prompts of like length go together, so that little is padded.

    Args:
        pair: The models; only the target runs.
        prompts: Users' messages, or token ids `[1, seq]`.
        max_new_tokens: Of each answer.
        temperature: 0 for greedy text; above, text is drawn from the target's law.
        seed: Of the draws; the global random state is left as it was.
        batch_size: Prompts at a time.

    Raises:
        ValueError: There is no prompt, or a number is out of range.
        NonFiniteLogitsError: The target gave NaN or infinity.
    """
    check_is_pair(pair)
    _check_prompts(prompts)
    batch_size = whole(batch_size, "batch_size", 1, " of prompts")
    limit = Settings(max_new_tokens=max_new_tokens, temperature=temperature).max_new_tokens
    encoded = sorted((pair.encode(prompt, limit)[0] for prompt in prompts), key=len)
    chunks = [encoded[i : i + batch_size] for i in range(0, len(encoded), batch_size)]
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature:
        sampling = {"do_sample": True, "temperature": float(temperature), "top_k": 0, "top_p": 1.0}
    with drawing(pair.device, seed):
        return [
            _answers(pair, chunk, limit, sampling)
            for chunk in tqdm(chunks, unit="batch", delay=2, leave=False)
        ]


def held_out_texts(
    pair: ModelPair, prompts: Sequence[str | torch.Tensor], *, max_new_tokens: int = 64
) -> list[GenerationTrace]:
    """Return plain greedy runs on prompts that a drafter is judged by, not trained on.

    Raises:
        ValueError: There is no prompt, or a number is out of range.
    """
    _check_prompts(prompts)
    bar = tqdm(prompts, unit="prompt", delay=2, leave=False)
    return [autoregressive_generate(pair, p, max_new_tokens=max_new_tokens) for p in bar]


def _check_prompts(prompts: Any) -> None:
    # A text is a sequence of texts too: its letters.
    if isinstance(prompts, str) or not isinstance(prompts, Sequence) or not prompts:
        kind = type(prompts).__name__
        got = tr("no prompts" if prompts in ([], ()) else "a {kind}", kind=kind)
        raise ValueError(
            tr("got {got}, need a list of one or more prompts for the target to answer", got=got)
        )


@torch.no_grad()
def _answers(
    pair: ModelPair, prompts: Sequence[torch.Tensor], max_new_tokens: int, sampling: dict[str, Any]
) -> Texts:
    """Answer prompts `[seq]` at once: padded on the left to write, on the right to train."""
    width = max(len(ids) for ids in prompts)
    config = pair.target.generation_config
    pad = config.pad_token_id or 0
    input_ids = torch.stack([_padded(ids, width, pad) for ids in prompts])
    mask = torch.stack([_padded(torch.ones_like(ids), width, 0) for ids in prompts])
    written = plain_view(pair.target).generate(
        input_ids,
        attention_mask=mask,
        max_new_tokens=max_new_tokens,
        pad_token_id=pad,
        logits_processor=[OnlyNumbers()],
        **sampling,
    )
    rows = list(_unpadded(written, prompts, eos_ids(pair.target)))
    length = max(len(row) for row in rows)
    texts = torch.full((len(rows), length), pad)
    is_answer = torch.zeros(len(rows), length, dtype=torch.bool)
    for place, (row, prompt) in enumerate(zip(rows, prompts, strict=True)):
        texts[place, : len(row)] = row
        is_answer[place, len(prompt) : len(row)] = True
    return Texts(texts, is_answer)


def _padded(ids: torch.Tensor, width: int, pad: int) -> torch.Tensor:
    return torch.cat([ids.new_full((width - len(ids),), pad), ids])


def _unpadded(
    written: torch.Tensor, prompts: Sequence[torch.Tensor], ends: set[int]
) -> Iterator[torch.Tensor]:
    """Yield each row without its padding: the prompt, then the answer up to its end mark."""
    width = max(len(ids) for ids in prompts)
    for row, prompt in zip(written.cpu(), prompts, strict=True):
        answer = row[width:]
        stops = [i for i, token in enumerate(answer.tolist()) if token in ends]
        yield torch.cat([prompt.cpu(), answer[: stops[0] + 1] if stops else answer])
