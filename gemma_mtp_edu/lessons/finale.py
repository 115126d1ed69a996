"""Take the pair that fits the machine, predict, measure by workload and draft length, fill a card.

Every step gives its memory back before the next one, so that a small GPU gets through.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gemma_mtp_edu import __version__
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.measured import decoding_seconds, timed_runs
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.measure.bench import Plan, conditions
from gemma_mtp_edu.measure.results import Measurement, ResultsCard
from gemma_mtp_edu.models.memory import peak_memory, release_memory
from gemma_mtp_edu.models.memory_plan import CONTEXT, dtype_on, gigabytes, memory_plan, pick_pair
from gemma_mtp_edu.models.pairs import ModelPair, PairNotFoundError, load_pair
from gemma_mtp_edu.models.registry import POCKET
from gemma_mtp_edu.models.room import NoDiskSpaceError, NotEnoughMemoryError

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
    free = gigabytes(free_bytes)
    if wanted == AUTO:
        picked = pick_pair(free_bytes, compute_capability, context_length=context_length)
        if picked[0] != POCKET:
            room = tr("What {free} of GPU memory hold, with room for the context.", free=free)
            return Choice(*picked, room)
        if compute_capability is None:
            return Choice(*picked, tr("The bundled pair: no NVIDIA GPU is here."))
        return Choice(*picked, tr("The bundled pair: {free} of GPU memory are too few.", free=free))
    if wanted == POCKET:
        return Choice(POCKET, "float32", tr("The bundled pair, as you wished."))
    plan = memory_plan(wanted, dtype_on(compute_capability), context_length)
    if plan.fits(free_bytes):
        wish = tr("As you wished: {plan}.", plan=plan.describe(free_bytes))
        return Choice(plan.name, plan.dtype, wish)
    too_large = tr("The bundled pair: {plan}.", plan=plan.describe(free_bytes))
    return Choice(POCKET, "float32", too_large)


def load_chosen(choice: Choice, *, load: Load = load_pair) -> tuple[ModelPair, str]:
    """Load the chosen pair; where the hub or the memory cannot give it, the bundled one.

    Args:
        choice: What `choose` returned.
        load: What loads a pair; it takes a name and a dtype.

    Returns:
        The pair, and a sentence that says which one it is and why.
    """
    try:
        return load(choice.name, dtype=choice.dtype), choice.reason
    except (PairNotFoundError, NotEnoughMemoryError, NoDiskSpaceError) as error:
        reason = tr(
            "The bundled pair, because {name} cannot be had here: {error}",
            name=choice.name,
            error=error,
        )
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
        gammas = [gamma for workload, gamma in predicted if workload == name]
        runs = timed_runs(
            pair, {name: prompt}, gammas, max_new_tokens=max_new_tokens, repeats=repeats
        )
        plain = runs[name, 0][-1].token_ids
        for case, traces in runs.items():
            measurements.append(_measurement(case, traces, predicted.get(case, 1.0), plain))
        release_memory(pair.device)
        done(tr("{name}: measured", name=name))
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


def _measurement(
    case: tuple[str, int],
    traces: Sequence[GenerationTrace],
    predicted: float,
    plain: tuple[int, ...],
) -> Measurement:
    last = traces[-1]
    return Measurement(
        *case,
        seconds=decoding_seconds(traces),
        prefill_seconds=statistics.median(t.rounds[0].seconds for t in traces),
        tokens=len(last.token_ids),
        tokens_per_round=last.tokens_per_round or 1.0,
        predicted_speedup=predicted,
        same_text=last.token_ids == plain,
    )
