"""Measure the bundled pair on held-out prompts: is it right, what is accepted, what is saved.

    python -m tools.pocket.evaluate [--folder FOLDER] [--prompts 100] [--timed 8]

Prints a table of quality (batched plain decoding) and a table of acceptance and time (one prompt at
a time, plain and assisted in turns), both greedy and in fp32 on the CPU.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pandas as pd
import torch

from gemma_mtp_edu import ModelPair, load_pair, reference_generate
from tools.pocket.corpus import WORKLOADS
from tools.pocket.example import Example, draw

MAX_NEW_TOKENS = 320
BATCH = 25


def held_out(name: str, count: int) -> list[Example]:
    """Return `count` held-out examples of a workload, always the same ones."""
    rng = Random(f"evaluate-{name}")
    return [draw(WORKLOADS[name], rng, "held_out") for _ in range(count)]


@torch.no_grad()
def answers(pair: ModelPair, examples: list[Example]) -> Iterator[tuple[Example, str, bool]]:
    """Yield each example with its greedy answer and whether that ended by itself, in batches."""
    for start in range(0, len(examples), BATCH):
        chunk = examples[start : start + BATCH]
        texts = [
            pair.processor.apply_chat_template(
                [{"role": "user", "content": e.prompt}], tokenize=False, add_generation_prompt=True
            )
            for e in chunk
        ]
        inputs = pair.processor(text=texts, return_tensors="pt", padding=True)
        output = pair.target.generate(
            **inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, pad_token_id=0
        )
        for example, ids in zip(chunk, output[:, inputs["input_ids"].shape[1] :], strict=True):
            ended = any(end in ids for end in pair.target.generation_config.eos_token_id)
            yield example, pair.decode(ids), ended


def quality(pair: ModelPair, count: int, failures: Path | None) -> pd.DataFrame:
    """Return the share of answers that meet each demand, per workload."""
    rows, wrong = {}, []
    for name, workload in WORKLOADS.items():
        marks = defaultdict(list)
        for example, text, ended in answers(pair, held_out(name, count)):
            grades = {"ends": ended, **workload.grade(example, text)}
            for demand, met in grades.items():
                marks[demand].append(met)
            if not all(grades.values()):
                wrong.append(
                    f"== {name} {grades}\n{example.prompt}\n-- got\n{text}\n"
                    f"-- want\n{example.answer}\n"
                )
        rows[name] = {demand: sum(met) / len(met) for demand, met in marks.items()}
        print(name, rows[name], flush=True)
    if failures is not None:
        failures.write_text("\n".join(wrong), encoding="utf-8")
    return pd.DataFrame.from_dict(rows, orient="index")


def speed(pair: ModelPair, count: int, gamma: int) -> pd.DataFrame:
    """Return acceptance, tokens per round and the time ratio, per workload."""
    reference_generate(pair, "warm up", assisted=True, max_new_tokens=16)
    rows = {}
    for name in WORKLOADS:
        plain_seconds = assisted_seconds = 0.0
        same, accepted, drafted, tokens, rounds = [], 0, 0, 0, 0
        for example in held_out(name, count):
            plain = reference_generate(
                pair, example.prompt, assisted=False, max_new_tokens=MAX_NEW_TOKENS
            )
            assisted = reference_generate(
                pair, example.prompt, gamma=gamma, max_new_tokens=MAX_NEW_TOKENS
            )
            plain_seconds += plain.seconds
            assisted_seconds += assisted.seconds
            same.append(plain.token_ids == assisted.token_ids)
            accepted += assisted.n_accepted
            drafted += assisted.drafter_passes
            tokens += len(assisted.token_ids)
            rounds += len(assisted.draft_rounds)
        rows[name] = {
            "identical": sum(same) / len(same),
            "acceptance": accepted / max(1, drafted),
            "tokens_per_round": (tokens - count) / max(1, rounds),
            "speedup": plain_seconds / assisted_seconds,
            "tokens": tokens / count,
        }
        print(name, rows[name], flush=True)
    frame = pd.DataFrame.from_dict(rows, orient="index")
    print(f"mean speedup {statistics.mean(frame['speedup']):.2f}")
    return frame


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default="pocket", help="a pair's folder, or pocket")
    parser.add_argument("--prompts", type=int, default=100, help="prompts a workload for quality")
    parser.add_argument("--timed", type=int, default=8, help="prompts a workload for acceptance")
    parser.add_argument("--gamma", type=int, default=4)
    parser.add_argument("--failures", type=Path, help="write the wrong answers to this file")
    args = parser.parse_args()
    pair = load_pair(args.folder, device="cpu", dtype="float32")
    if args.prompts:
        print(quality(pair, args.prompts, args.failures).round(3).to_string())
    if args.timed:
        print(speed(pair, args.timed, args.gamma).round(3).to_string())


if __name__ == "__main__":
    main()
