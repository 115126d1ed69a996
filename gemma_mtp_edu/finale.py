"""Take the pair that fits the machine, predict, measure by workload and draft length, fill a card.

Every step gives its memory back before the next one, so that a small GPU gets through.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gemma_mtp_edu import __version__
from gemma_mtp_edu.bench import Plan, conditions
from gemma_mtp_edu.cost import CostModel
from gemma_mtp_edu.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.memory import peak_memory, release_memory
from gemma_mtp_edu.memory_plan import CONTEXT, dtype_on, gigabytes, memory_plan, pick_pair
from gemma_mtp_edu.pairs import ModelPair, PairNotFoundError, load_pair
from gemma_mtp_edu.profile import AcceptanceProfile
from gemma_mtp_edu.registry import POCKET
from gemma_mtp_edu.results_card import Measurement, ResultsCard
from gemma_mtp_edu.schedules import Constant
from gemma_mtp_edu.trace import GenerationTrace

AUTO = "auto"
Load = Callable[..., ModelPair]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which pair to load, and why.

    Attributes:
        name: A registered name.
        dtype: What `load_pair` takes.
        reason: One sentence.
    """

    name: str
    dtype: str
    reason: str


def choose(
    wanted: str,
    free_bytes: int,
    compute_capability: tuple[int, int] | None,
    *,
    context_length: int = CONTEXT,
) -> Choice:
    """Return the pair to load: the wanted one where it fits, else the bundled one.

    Args:
        wanted: A registered name, or "auto" for what `pick_pair` says.
        free_bytes: Free memory, of the GPU where there is one.
        compute_capability: Of an NVIDIA GPU; None for any other device.
        context_length: Tokens of prompt and answer together.

    Raises:
        ValueError: The name is not registered.
    """
    name, dtype = pick_pair(free_bytes, compute_capability, context_length=context_length)
    if wanted == AUTO and name == POCKET:
        place = "no NVIDIA GPU is here" if compute_capability is None else "the GPU is too small"
        return Choice(POCKET, "float32", f"The bundled pair: {place}.")
    if wanted == AUTO:
        room = gigabytes(free_bytes)
        return Choice(name, dtype, f"What {room} of GPU memory hold, with room for the context.")
    if wanted == POCKET:
        return Choice(POCKET, "float32", "The bundled pair, as you wished.")
    plan = memory_plan(wanted, dtype_on(compute_capability), context_length)
    if not plan.fits(free_bytes):
        return Choice(POCKET, "float32", f"The bundled pair: {plan.describe(free_bytes)}.")
    return Choice(plan.name, plan.dtype, f"As you wished: {plan.describe(free_bytes)}.")


def load_chosen(choice: Choice, *, load: Load = load_pair) -> tuple[ModelPair, str]:
    """Load the chosen pair; where the hub cannot be reached, the bundled one.

    Args:
        choice: What `choose` returned.
        load: What loads a pair; it takes a name and a dtype.

    Returns:
        The pair, and a sentence that says which one it is and why.
    """
    try:
        return load(choice.name, dtype=choice.dtype), choice.reason
    except PairNotFoundError as error:
        reason = f"The bundled pair, because {choice.name} cannot be had here: {error}"
        return load(POCKET, dtype="float32"), reason


def predicted_speedups(
    cost: CostModel, profiles: Mapping[str, AcceptanceProfile], gammas: Sequence[int]
) -> dict[tuple[str, int], float]:
    """Return the speedup of each workload and draft length, from replays with measured costs."""
    return {
        (name, gamma): cost.predict_schedule(profile, Constant(gamma)).speedup
        for name, profile in profiles.items()
        for gamma in gammas
    }


def measure(
    pair: ModelPair,
    prompts: Mapping[str, str],
    predicted: Mapping[tuple[str, int], float],
    *,
    max_new_tokens: int = 64,
    repeats: int = 3,
    done: Callable[[str], object] = print,
) -> tuple[Measurement, ...]:
    """Time every prompt plainly and with each draft length, in turns; the first turn warms up.

    Args:
        pair: The models.
        prompts: By workload.
        predicted: What was predicted, by workload and draft length; so all that is measured here.
        max_new_tokens: Tokens to write at most.
        repeats: Turns that count; their medians are kept.
        done: Called with the name of each workload when it is measured.
    """
    measurements: list[Measurement] = []
    for name, prompt in prompts.items():
        gammas = (0, *(gamma for workload, gamma in predicted if workload == name))
        runs: dict[int, list[GenerationTrace]] = {gamma: [] for gamma in gammas}
        for _ in range(repeats + 1):
            for gamma, traces in runs.items():
                traces.append(_run(pair, prompt, gamma, max_new_tokens))
        plain = runs[0][-1].token_ids
        for gamma, traces in runs.items():
            speed = predicted.get((name, gamma), 1.0)
            measurements.append(_measurement(name, gamma, traces[1:], speed, plain))
        release_memory(pair.device)
        done(f"{name}: measured")
    return tuple(measurements)


def results_card(
    pair: ModelPair,
    prompts: Mapping[str, str],
    measurements: tuple[Measurement, ...],
    verdict: Mapping[str, str],
    plan: Plan,
) -> ResultsCard:
    """Return the card of a sweep, with the machine's and the releases' names in it.

    Args:
        pair: The models.
        prompts: By workload.
        measurements: What `measure` returned.
        verdict: The cost model's words before the measurement, by workload.
        plan: Draft lengths, repeats and tokens, for the record.
    """
    facts = {**conditions(pair, plan), "method": "finale", "gemma_mtp_edu": __version__}
    return ResultsCard(
        pair.name, measurements, dict(prompts), dict(verdict), peak_memory(pair.device), facts
    )


def loaded_bytes(pair: ModelPair) -> int:
    """Return the bytes of both models' weights as they are loaded."""
    parameters = [*pair.target.parameters(), *pair.drafter.parameters()]
    return sum(p.numel() * p.element_size() for p in parameters)


def _run(pair: ModelPair, prompt: str, gamma: int, max_new_tokens: int) -> GenerationTrace:
    if gamma == 0:
        return autoregressive_generate(pair, prompt, max_new_tokens=max_new_tokens)
    return speculative_generate(pair, prompt, gamma=gamma, max_new_tokens=max_new_tokens)


def _measurement(
    name: str,
    gamma: int,
    traces: Sequence[GenerationTrace],
    predicted: float,
    plain: tuple[int, ...],
) -> Measurement:
    last = traces[-1]
    return Measurement(
        workload=name,
        gamma=gamma,
        seconds=statistics.median(sum(r.seconds for r in t.draft_rounds) for t in traces),
        prefill_seconds=statistics.median(t.rounds[0].seconds for t in traces),
        tokens=len(last.token_ids),
        tokens_per_round=last.tokens_per_round or 1.0,
        predicted_speedup=predicted,
        same_text=last.token_ids == plain,
    )
