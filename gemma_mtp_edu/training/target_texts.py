"""Texts in the target's own words, which a drafter must guess: to train and evaluate it on."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from gemma_mtp_edu.analysis.profile import profile_of
from gemma_mtp_edu.analysis.reference import drawing, only_numbers, plain_view
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.core.decoding import autoregressive_generate
from gemma_mtp_edu.core.sampling import Settings
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.models.pairs import ModelPair
from gemma_mtp_edu.training.distillation import Texts

Prompts = Sequence[str | torch.Tensor]


class Evaluation(NamedTuple):
    """How a drafter does at some step of its training."""

    step: int = 0
    loss: float | None = None  # mean since the evaluation before; None before the first step
    # In training, per draft step: drafts that were the target's choice, after right ones.
    agreement: Sequence[float] = ()
    acceptance: float | None = None  # accepted over drafted tokens of the held-out texts
    tokens_per_round: float | None = None  # of the held-out texts


def target_texts(
    pair: ModelPair,
    prompts: Prompts,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    batch_size: int = 16,
) -> list[Texts]:
    """Let the target answer prompts (messages, or ids `[1, seq]`); return batches to train on.

    Prompts of like length go together, so little is padded. Above temperature 0, answers are drawn
    from the target's distribution; the global random state is left as it was.
    """
    Settings(max_new_tokens=max_new_tokens, temperature=temperature)
    encoded = sorted((pair.encode(p, max_new_tokens)[0] for p in _listed(prompts)), key=len)
    chunks = [encoded[i : i + batch_size] for i in range(0, len(encoded), batch_size)]
    filler, texts = pair.target.generation_config.pad_token_id or 0, []
    how: dict[str, Any] = {"pad_token_id": filler, "logits_processor": [only_numbers]}
    if temperature:
        how |= {"temperature": float(temperature), "top_k": 0, "top_p": 1.0}
    how |= {"max_new_tokens": max_new_tokens, "do_sample": temperature > 0}
    with drawing(pair.device, seed):
        for chunk in tqdm(chunks, unit="batch", delay=2, leave=False):
            # Padded on the left to write, on the right to train.
            padded = pad_sequence(chunk, True, filler, "left")
            mask = pad_sequence([torch.ones_like(ids) for ids in chunk], True, 0, "left")
            written = plain_view(pair.target).generate(padded, attention_mask=mask, **how)
            rows, is_answer = [], []
            for ids, answer in zip(chunk, written[:, padded.shape[1] :].cpu(), strict=True):
                ends = [i for i, token in enumerate(answer.tolist(), 1) if token in pair.eos_ids]
                answer = answer[: ends[0] if ends else None]  # padding after the end is none
                rows.append(torch.cat([ids.cpu(), answer]))
                is_answer.append(torch.arange(len(rows[-1])) >= len(ids))
            texts.append(Texts(pad_sequence(rows, True, filler), pad_sequence(is_answer, True)))
    return texts


def held_out_texts(
    pair: ModelPair, prompts: Prompts, *, max_new_tokens: int = 64
) -> list[GenerationTrace]:
    """Return plain greedy runs on prompts that a drafter is evaluated on, not trained on."""
    bar = tqdm(_listed(prompts), unit="prompt", delay=2, leave=False)
    return [autoregressive_generate(pair, p, max_new_tokens=max_new_tokens) for p in bar]


def evaluate_drafter(pair: ModelPair, texts: Sequence[GenerationTrace], gamma: int) -> Evaluation:
    """Return acceptance and tokens per round of `gamma` drafts in every round, exact by replay.

    A drafter in another dtype than its target's is evaluated as a copy in that one.
    """
    if not texts:
        return Evaluation()
    if pair.drafter.dtype != pair.target.dtype:
        pair = replace(pair, drafter=copy.deepcopy(pair.drafter).to(dtype=pair.target.dtype))
    runs = [replay(profile_of(pair, text, max_gamma=gamma), Constant(gamma)) for text in texts]
    rounds = [record for run in runs for record in run.draft_rounds]
    drafted = sum(len(record.draft_ids) for record in rounds)
    accepted = sum(record.n_accepted for record in rounds)
    return Evaluation(
        acceptance=accepted / drafted if drafted else 0.0,
        tokens_per_round=(accepted + len(rounds)) / len(rounds) if rounds else 1.0,
    )


def _listed(prompts: Prompts) -> Prompts:
    # A text is a sequence of texts too: its letters.
    if isinstance(prompts, str) or not len(prompts):
        raise ValueError(f"got {prompts!r}, need a list of prompts for the target to answer")
    return prompts
