"""The training stream: a seeded mix of the workloads, tokenized and cut into batches.

Pool number n of a seed always holds the same batches, so training can resume at any step.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from random import Random

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from tools.pocket.example import Example, Split, Workload, draw, table

Shares = Mapping[Workload, float]

# By phase, from `data/shares.toml`.
MIXES: dict[str, Shares] = {
    phase: {import_module(f".workloads.{name}", __package__): share for name, share in mix.items()}
    for phase, mix in table("shares").items()
}
SHARES = MIXES["first"]
WORKLOADS: dict[str, Workload] = {workload.NAME: workload for workload in SHARES}
TWO_TURNS = 0.15  # share of conversations that hold two instructions
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded token ids and labels `[batch, seq]`; prompts and padding have no label."""

    input_ids: torch.Tensor
    labels: torch.Tensor
    workloads: list[str]


def sample_mix(rng: Random, split: Split, shares: Shares = SHARES) -> Example:
    """Draw one example of the mix."""
    (workload,) = rng.choices(list(shares), weights=list(shares.values()))
    return draw(workload, rng, split)


def encode_dialog(
    tokenizer: PreTrainedTokenizerFast, examples: list[Example]
) -> tuple[list[int], list[int]]:
    """Return token ids and labels of a conversation; only answers and their end marks count."""
    ids = [tokenizer.bos_token_id]
    labels = [IGNORED]
    for example in examples:
        prompt = f"<|turn>user\n{example.prompt.strip()}<turn|>\n<|turn>model\n"
        prompt_ids = tokenizer(prompt, add_special_tokens=False).input_ids
        answer_ids = tokenizer(f"{example.answer}<turn|>", add_special_tokens=False).input_ids
        newline_ids = tokenizer("\n", add_special_tokens=False).input_ids
        ids += prompt_ids + answer_ids + newline_ids
        labels += [IGNORED] * len(prompt_ids) + answer_ids + [IGNORED] * len(newline_ids)
    return ids[:-1], labels[:-1]


def batches(
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    tokens_per_batch: int,
    pool_size: int = 2048,
    shares: Shares = SHARES,
    lane: int = 0,
    lanes: int = 1,
) -> Iterator[Batch]:
    """Yield batches of about `tokens_per_batch` tokens, padding included, without end.

    Of several lanes, each has pools of its own.
    """
    for pool in count(lane, lanes):
        rng = Random(f"{seed}-{pool}")
        yield from pool_batches(tokenizer, rng, tokens_per_batch, pool_size, shares=shares)


def pool_batches(
    tokenizer: PreTrainedTokenizerFast,
    rng: Random,
    tokens_per_batch: int,
    pool_size: int,
    split: Split = "train",
    shares: Shares = SHARES,
) -> list[Batch]:
    """Draw `pool_size` conversations and cut them, sorted by length, into shuffled batches."""
    rows = []
    for _ in range(pool_size):
        turns = 2 if rng.random() < TWO_TURNS else 1
        examples = [sample_mix(rng, split, shares) for _ in range(turns)]
        rows.append((*encode_dialog(tokenizer, examples), examples[-1].workload))
    rows.sort(key=lambda row: len(row[0]))
    result, start = [], 0
    while start < len(rows):
        stop = start + 1
        while stop < len(rows) and (stop - start + 1) * len(rows[stop][0]) <= tokens_per_batch:
            stop += 1
        result.append(_collate(tokenizer, rows[start:stop]))
        start = stop
    rng.shuffle(result)
    return result


def _collate(
    tokenizer: PreTrainedTokenizerFast, rows: list[tuple[list[int], list[int], str]]
) -> Batch:
    input_ids, labels = (
        pad_sequence([torch.tensor(row[part]) for row in rows], True, filler)
        for part, filler in ((0, tokenizer.pad_token_id), (1, IGNORED))
    )
    return Batch(input_ids, labels, [workload for _, _, workload in rows])
