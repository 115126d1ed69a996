"""Measure a file of prompts with any pair, on one process or several, and go on after a kill.

accelerate says which process this is, splits the prompts and gathers the results:

    python -m gemma_mtp_edu bench --prompts prompts.jsonl --out results.jsonl
    torchrun --standalone --nproc_per_node 2 -m gemma_mtp_edu bench --prompts ...

`accelerate launch` does the same on several GPUs; on a CPU it starts one process only.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from tqdm import tqdm

from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.grid import check_grid
from gemma_mtp_edu.analysis.profiling import acceptance_profile
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.measure.bench import Plan, conditions, measure
from gemma_mtp_edu.measure.prompt_file import NumberedPrompt
from gemma_mtp_edu.measure.result_lines import Result, append, part_of, read, write_whole
from gemma_mtp_edu.models.compatibility import is_mtp_drafter
from gemma_mtp_edu.models.memory import peak_memory, reset_peak_memory
from gemma_mtp_edu.models.pairs import ModelPair


@dataclass(frozen=True, slots=True)
class Sweep:
    """What to measure of each prompt, and at which context lengths costs are measured.

    Attributes:
        plan: Draft lengths, repeats, tokens; its own prompts are not used.
        contexts: Tokens before a round, ascending.
    """

    plan: Plan
    contexts: tuple[int, ...]


def process_device() -> str:
    """Return the device of this process, as `load_pair` takes it."""
    state = _process()
    several = state.num_processes > 1 and torch.cuda.is_available()
    return f"cuda:{state.local_process_index}" if several else "auto"


def run(
    pair: ModelPair, prompts: Sequence[NumberedPrompt], sweep: Sweep, out: Path
) -> list[Result] | None:
    """Measure what is not in `out` yet and write the whole.

    Args:
        pair: The models, in each process on its own device.
        prompts: What `prompt_file.read_prompts` returns, the same in each process.
        sweep: What to measure.
        out: JSON lines; parts of it lie beside it until all is done.

    Returns:
        All results in the main process; None in the others.

    Raises:
        ResultsError: `out` holds results of another run; nothing was measured.
        ValueError: A prompt or a context cannot be measured; nothing was.
    """
    state = _process()
    _check(pair, prompts, sweep)
    facts = _facts(pair, sweep)
    tasks = _tasks(pair, prompts, sweep, facts)
    done = read(out, facts)
    # Nobody may write before everybody has read, or they would not agree on what is left.
    state.wait_for_everyone()
    left = [key for key in tasks if key not in done]
    with state.split_between_processes(left) as mine:
        made = _work(tasks, mine, part_of(out, state.process_index), state)
    gathered = gather_object(made) if state.num_processes > 1 else made
    if not state.is_main_process:
        return None
    done |= {result["key"]: result for result in gathered}
    results = [done[key] for key in tasks]
    write_whole(out, results)
    return results


def _check(pair: ModelPair, prompts: Sequence[NumberedPrompt], sweep: Sweep) -> None:
    """Raise for what would stop the sweep hours later."""
    longest = max(sweep.plan.gammas) + 1
    for context in sweep.contexts:
        check_grid((1, 2), (context,))
        if pair.positions is not None and context + longest > pair.positions:
            raise ValueError(
                tr(
                    "got context {context} and a verify pass of {tokens} tokens, need at most "
                    "{positions} together: the target has no more positions, so leave that "
                    "context out of --contexts",
                    context=context,
                    tokens=longest,
                    positions=pair.positions,
                )
            )
    for given in prompts:
        try:
            pair.encode(given.prompt, sweep.plan.max_new_tokens)
        except ValueError as error:
            line = given.key.split("-")[0]
            raise ValueError(
                tr("the prompt of line {line} cannot be measured: {error}", line=line, error=error)
            ) from error


def _process() -> PartialState:
    """Return which process this is; without `cpu` accelerate counts processes on GPUs only."""
    launched = "LOCAL_RANK" in os.environ
    return PartialState(cpu=launched and not torch.cuda.is_available())


def _work(
    tasks: dict[str, Callable[[], Result]], mine: Sequence[str], part: Path, state: PartialState
) -> list[Result]:
    """Do this process's tasks; each result is on disk before the next task begins."""
    others = {} if state.is_main_process else {"disable": True}
    made = []
    for key in tqdm(mine, unit="task", delay=2, **others):
        made.append(append(part, {"key": key, "process": state.process_index, **tasks[key]()}))
    return made


def _tasks(
    pair: ModelPair, prompts: Sequence[NumberedPrompt], sweep: Sweep, facts: dict[str, Any]
) -> dict[str, Callable[[], Result]]:
    """Return what there is to do, by key, in the order of the results."""
    common = {"run": facts, "conditions": conditions(pair, sweep.plan)}
    tasks: dict[str, Callable[[], Result]] = {}
    for given in prompts:
        tasks[given.key] = partial(_measure_prompt, pair, given, sweep, common)
    for context in sweep.contexts:
        tasks[f"context-{context}"] = partial(_measure_context, pair, context, sweep, common)
    return tasks


def _facts(pair: ModelPair, sweep: Sweep) -> dict[str, Any]:
    """Return what all results of a file must share; as JSON reads it back, so with lists."""
    plan = sweep.plan
    return {
        "pair": pair.name,
        "target_weights": _fingerprint(pair.target),
        "drafter_weights": _fingerprint(pair.drafter),
        "dtype": str(pair.target.dtype),
        "device": pair.device.type,
        "gammas": list(plan.gammas),
        "repeats": plan.repeats,
        "max_new_tokens": plan.max_new_tokens,
    }


def _fingerprint(model: torch.nn.Module) -> str:
    """Return what tells a model from others: names and folders do not, as weights change in both.

    The beginning of every weight will do, and takes no time where the weights are many.
    """
    digest = hashlib.sha256()
    for name, weight in model.named_parameters():
        first = weight.detach().flatten()[:1024].cpu().contiguous().view(torch.uint8)
        digest.update(f"{name} {tuple(weight.shape)}".encode() + first.numpy().tobytes())
    return digest.hexdigest()[:12]


def _measure_prompt(pair: ModelPair, given: NumberedPrompt, sweep: Sweep, common: Result) -> Result:
    ids = pair.encode(given.prompt)
    reset_peak_memory(pair.device)
    result: Result = {
        **common,
        "kind": "prompt",
        "prompt": given.prompt,
        "workload": given.workload,
        "prompt_tokens": ids.shape[1],
        "rows": measure(pair, ids, sweep.plan),
        "peak_memory_bytes": peak_memory(pair.device),
    }
    if is_mtp_drafter(pair.drafter.config):
        profile = acceptance_profile(
            pair,
            ids,
            max_gamma=max(sweep.plan.gammas),
            max_new_tokens=sweep.plan.max_new_tokens,
        )
        result["profile"] = profile.to_json()
    return result


def _measure_context(pair: ModelPair, context: int, sweep: Sweep, common: Result) -> Result:
    reset_peak_memory(pair.device)
    longest = max(sweep.plan.gammas) + 1
    lengths = tuple(sorted({1, 2, 3, 5, 9, longest}))
    cost = CostModel.calibrate(
        pair,
        lengths=tuple(length for length in lengths if length <= max(longest, 2)),
        contexts=(context,),
        repeats=sweep.plan.repeats,
    )
    return {
        **common,
        "kind": "context",
        "context": context,
        "cost": cost.to_json(),
        "peak_memory_bytes": peak_memory(pair.device),
    }
