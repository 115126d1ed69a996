"""Measure plain and assisted decoding, ours and the library's, in one interleaved run.

Times of a machine drift, so all methods take turns on every prompt and the ratios of one run count.
A run that was killed goes on: each result is on disk before the next begins.
"""

import hashlib
import os
import platform
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from pydantic import TypeAdapter
from torch import Tensor
from tqdm import tqdm

from gemma_mtp_edu import __version__
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.profile import acceptance_profile
from gemma_mtp_edu.analysis.reference import drafter_with, plain_view, reference_generate
from gemma_mtp_edu.core.decoding import autoregressive_generate, clock, speculative_generate
from gemma_mtp_edu.measure.results import Result, append, read_results, write_results
from gemma_mtp_edu.models.compatibility import is_mtp_drafter
from gemma_mtp_edu.models.memory import peak_memory, reset_peak_memory
from gemma_mtp_edu.models.pairs import ModelPair

SCHEMA = "gemma_mtp_edu.bench/1"
Lengths = Sequence[int]
Lines = Sequence[str]
Prompts = Mapping[str, tuple[str, Any]]  # by a key: workload and prompt, as text or ids


@dataclass(frozen=True, slots=True)
class Plan:
    """Draft lengths, timed turns of each method (one more warms up), tokens to write at most."""

    gammas: tuple[int, ...] = (1, 2, 4, 8, 12)
    repeats: int = 3
    max_new_tokens: int = 48

    def __post_init__(self) -> None:
        if not self.gammas or min(*self.gammas, self.repeats, self.max_new_tokens) < 1:
            raise ValueError(f"got {self}, need a draft length or more, and no number below 1")


def read_prompts(path: Path) -> dict[str, tuple[str, str]]:
    """Return workload and prompt of each line of a file, by a key that changes with them.

    A line that begins with `{` is JSON with `prompt` and perhaps `workload`; any other is a prompt.
    """
    texts, found = TypeAdapter(dict[str, str]), {}
    # Notepad begins a file with a mark; JSON may hold what `splitlines` takes for an end.
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), 1):
        line = line.strip()
        try:
            # A JSON array is no line of JSON lines, although a prompt may begin with a bracket.
            is_json = re.match(r'\{|\[\s*(["{\]]|$)', line)
            given = texts.validate_json(line) if is_json else {"prompt": line}
            workload, prompt = given.get("workload", "all"), given["prompt"]
        except (KeyError, ValueError) as error:
            like = '{"prompt": "Hello!", "workload": "chat"}'
            raise ValueError(f"line {number} is {line[:60]!r}, need JSON such as {like}") from error
        if line:
            digest = hashlib.sha256(f"{workload}\n{prompt}".encode()).hexdigest()
            found[f"{number}-{digest[:12]}"] = workload, prompt
    if not found:
        raise ValueError(f"{path.name} holds no prompt, need one to a line")
    return found


def bench(
    pair: ModelPair, prompts: Mapping[str, Lines], plan: Plan, *, questions: Lines
) -> dict[str, Any] | None:
    """Measure each workload's prompts, alone and after long conversations begun by questions.

    Rows: median `seconds`, `tokens`, `target_passes`, `same_text` as in the library's plain run. Of
    several processes only the main one returns the record, to store as JSON.
    """
    short = {prompt: (workload, prompt) for workload, them in prompts.items() for prompt in them}
    long = {p: (workload, long_context(pair, p, questions)) for p, (workload, _) in short.items()}
    rows = [
        {"context": context, **row}
        for context, cases in (("short", short), ("long", long))
        for row in rows_of(run(pair, cases, plan) or ())
    ]
    return {"schema": SCHEMA, "conditions": conditions(pair, plan), "rows": rows} if rows else None


def run(
    pair: ModelPair, prompts: Prompts, plan: Plan, contexts: Lengths = (), out: Path | None = None
) -> list[Result] | None:
    """Measure prompts, and costs and memory after contexts of some lengths; return all results.

    All processes are given the same, each with the pair on its own device; only the main one
    returns something. What `out` holds already is not measured again.
    """
    pair.new_drafter()  # raises where there is none
    state, facts = _process(), _facts(pair, plan)
    tasks: dict[str, Callable[[], Result]] = {}
    # What cannot be measured, or results of another run, would stop the run hours later.
    for key, (workload, prompt) in prompts.items():
        try:
            ids = pair.encode(prompt, plan.max_new_tokens)
        except ValueError as error:
            raise ValueError(f"the prompt {key} cannot be measured: {error}") from error
        tasks[key] = partial(_measure_prompt, pair, workload, prompt, ids, plan)
    most = (pair.positions or 2**31) - max(plan.gammas) - 1  # a verify pass has room
    for context in contexts:
        if not 2 <= context <= most:
            raise ValueError(f"got context {context}, need 2 to {most}, or fewer drafts per round")
        tasks[f"context-{context}"] = partial(_measure_context, pair, context, plan)
    done = read_results(out, facts) if out else {}
    # Nobody may write before everybody has read, or they would not agree on what is left.
    state.wait_for_everyone()
    made: list[Result] = []
    with state.split_between_processes([key for key in tasks if key not in done]) as mine:
        for key in tqdm(mine, unit="task", delay=2, disable=not state.is_main_process):
            reset_peak_memory(pair.device)
            result = {"key": key, "process": state.process_index, "run": facts}
            result |= {"conditions": conditions(pair, plan), **tasks[key]()}
            made.append(append(out, state.process_index, result) if out else result)
    done |= {result["key"]: result for result in gather_object(made)}
    if not state.is_main_process:
        return None
    results = [done[key] for key in tasks]
    if out:
        write_results(out, results)
    return results


def process_device() -> str:
    """Return the device of this process, as `load_pair` takes it."""
    state = _process()
    rank = state.local_process_index
    return f"cuda:{rank}" if state.num_processes > 1 and torch.cuda.is_available() else "auto"


def _process() -> PartialState:
    """Return which process this is; without `cpu` accelerate counts processes on GPUs only."""
    return PartialState(cpu="LOCAL_RANK" in os.environ and not torch.cuda.is_available())


def _facts(pair: ModelPair, plan: Plan) -> dict[str, Any]:
    """Return what all results of a file must share; as JSON reads it back, so with lists."""
    facts: dict[str, Any] = {"pair": pair.name}
    for part, model in (("target", pair.target), ("drafter", pair.drafter)):
        digest = hashlib.sha256()  # tells weights from others of the same names and folder
        for name, weight in model.named_parameters():
            # The beginning will do, and takes no time where the weights are many.
            first = weight.detach().flatten()[:1024].cpu().contiguous().view(torch.uint8)
            digest.update(f"{name} {tuple(weight.shape)}".encode() + first.numpy().tobytes())
        facts[f"{part}_weights"] = digest.hexdigest()[:12]
    facts |= {"dtype": str(pair.target.dtype), "device": pair.device.type}
    return {**facts, **asdict(plan), "gammas": list(plan.gammas)}


def _measure_prompt(pair: ModelPair, workload: str, prompt: Any, ids: Tensor, plan: Plan) -> Result:
    result: Result = {"kind": "prompt", "prompt": prompt, "workload": workload}
    result |= {"prompt_tokens": ids.shape[1], "rows": measure(pair, ids, plan)}
    result["peak_memory_bytes"] = peak_memory(pair.device)
    if is_mtp_drafter(pair.drafter.config):
        gamma, limit = max(plan.gammas), plan.max_new_tokens
        profile = acceptance_profile(pair, ids, max_gamma=gamma, max_new_tokens=limit)
        result["profile"] = profile.to_json()
    return result


def _measure_context(pair: ModelPair, context: int, plan: Plan) -> Result:
    longest = max(plan.gammas) + 1
    lengths = tuple(n for n in sorted({1, 2, 3, 5, 9, longest}) if n <= longest)
    cost = CostModel.calibrate(pair, lengths=lengths, contexts=(context,), repeats=plan.repeats)
    result: Result = {"kind": "context", "context": context, "cost": cost.to_json()}
    return {**result, "peak_memory_bytes": peak_memory(pair.device)}


def long_context(pair: ModelPair, prompt: str, questions: Lines) -> Tensor:
    """Return ids of a conversation of at least four sliding windows that ends with `prompt`."""
    window = getattr(pair.target.config.get_text_config(), "sliding_window", None) or 64
    messages = [{"role": "user", "content": prompt}]
    while (ids := pair.encode_messages(messages)).shape[1] < 4 * window:
        question = questions[len(messages) // 2 % len(questions)]
        answer = autoregressive_generate(pair, question, max_new_tokens=64).text
        turn = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        messages = [*turn, *messages]
    return ids


def measure(pair: ModelPair, ids: Tensor, plan: Plan) -> list[dict[str, Any]]:
    """Time all methods on one prompt `[1, seq]`, in turns; the first turn only warms up."""
    limit: Any = {"max_new_tokens": plan.max_new_tokens}
    target = plain_view(pair.target)  # with the settings of our runs, not with its own
    greedy = {**limit, "attention_mask": torch.ones_like(ids), "do_sample": False}

    def library(gamma: int = 0, **more: Any) -> Any:
        more |= {"assistant_model": drafter_with(pair, gamma)} if gamma else {}
        return target.generate(ids, **greedy, **more)[0, ids.shape[1] :].tolist()

    runs: dict[tuple[str, int], Callable[[], Any]] = {
        ("plain, library", 0): library,
        ("plain, ours", 0): partial(autoregressive_generate, pair, ids, **limit),
        ("lookup, library", 4): partial(library, prompt_lookup_num_tokens=4),
    }
    for gamma in plan.gammas:
        runs["assisted, library", gamma] = partial(library, gamma)
        ours = partial(speculative_generate, pair, ids, gamma=gamma, **limit)
        runs["assisted, ours", gamma] = ours
    found, seconds = {}, defaultdict[tuple[str, int], list[float]](list)
    for _ in range(plan.repeats + 1):
        for case, call in runs.items():
            start = clock(pair.device)
            found[case] = call()
            seconds[case].append(clock(pair.device) - start)
    rows = []
    for (method, gamma), last in found.items():
        text, passes = list(getattr(last, "token_ids", last)), getattr(last, "target_passes", None)
        if method == "assisted, library":  # in a run of its own: counting takes time
            passes = reference_generate(pair, ids, gamma=gamma, **limit).target_passes
        row = {"method": method, "gamma": gamma, "tokens": len(text), "target_passes": passes}
        row["seconds"] = statistics.median(seconds[method, gamma][1:])
        rows.append({**row, "same_text": text == found["plain, library", 0]})
    return rows


def rows_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return one row per prompt, method and draft length."""
    prompts = (result for result in results if result["kind"] == "prompt")
    return [
        {"workload": r["workload"], "prompt": r["key"], **row} for r in prompts for row in r["rows"]
    ]


def conditions(pair: ModelPair, plan: Plan) -> dict[str, str]:
    """Return what a number means nothing without."""
    return {
        **pair.provenance("bench"),
        "cpu": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "gpu": torch.cuda.get_device_name(pair.device) if pair.device.type == "cuda" else "none",
        "python": platform.python_version(), "gemma_mtp_edu": __version__, "plan": str(plan),
    }  # fmt: skip
