"""What a case is, and how it is drawn: from the seed and its number alone."""

from dataclasses import dataclass
from random import Random
from typing import Literal

from gemma_mtp_edu.core.schedules import Confidence, Constant, FromProfile, Heuristic, Schedule
from tests.model.tiny import WINDOW, Shape

# So many cases share a text, each with a drafter and a schedule of its own: plain runs are the
# dear part.
SHARE = 4

Stop = Literal["length", "eos", "string", "criterion"]
Drafts = Literal["mtp", "mixed", "scripted", "lookup", "smaller"]
Door = Literal["function", "custom_generate"]

LENGTHS = (1, 2, 3, 5, WINDOW - 1, WINDOW, WINDOW + 1, 12, 2 * WINDOW, 3 * WINDOW, 30)


@dataclass(frozen=True, slots=True)
class Setting:
    """All that a plain text depends on.

    Attributes:
        shape: The models.
        wrapped: Whether the target is of the class that the real checkpoints load as.
        double: Whether all is computed in float64; else in float32.
        prompt_length: Tokens of the prompt, shorter and longer than the sliding window.
        prompt_words: How many different tokens the prompt is made of: few ones repeat.
        prompt_seed: Draws the prompt.
        max_new_tokens: The limit.
        stop: What else may end the text.
        stop_place: Where in the plain text the stop is taken from, 0 to 1.
        repetition_penalty: As in `speculative_generate`.
        no_repeat: Whether transformers' `NoRepeatNGramLogitsProcessor(2)` is given too.
        temperature: 0 for greedy decoding.
        top_k: As in `speculative_generate`.
        top_p: As in `speculative_generate`.
    """

    shape: Shape
    wrapped: bool
    double: bool
    prompt_length: int
    prompt_words: int
    prompt_seed: int
    max_new_tokens: int
    stop: Stop
    stop_place: float
    repetition_penalty: float | None
    no_repeat: bool
    temperature: float
    top_k: int | None
    top_p: float | None

    @property
    def is_greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0

    @property
    def is_processed(self) -> bool:
        """Whether scores are changed by tokens before them."""
        return self.repetition_penalty is not None or self.no_repeat


@dataclass(frozen=True, slots=True)
class Case:
    """A text and a way to draft it.

    Attributes:
        number: Its place in the series.
        setting: The text.
        drafts: Who proposes; "mixed" takes turns between a script and the MTP drafter.
        right: Share of right drafts of a script.
        schedule: How many.
        door: Called by our function, or behind `generate(custom_generate=...)`.
        seed: Of the sampling, and of a script's faults.
    """

    number: int
    setting: Setting
    drafts: Drafts
    right: float
    schedule: Schedule
    door: Door
    seed: int


def draw_case(seed: int, number: int) -> Case:
    """Return one case of a series."""
    setting = draw_setting(Random(f"{seed}-text-{number // SHARE}"))
    random = Random(f"{seed}-case-{number}")
    kinds: tuple[Drafts, ...] = ("mtp", "mixed", "scripted", "lookup", "smaller")
    drafts = random.choices(kinds, weights=(4, 3, 4, 2, 3))[0]
    # generate() takes models, not scripts; and it alone takes criteria of one's own.
    has_model = drafts in ("mtp", "smaller")
    if setting.stop == "criterion" and not has_model:
        drafts, has_model = "mtp", True
    by_generate = setting.stop == "criterion" or (has_model and random.random() < 0.15)
    return Case(
        number=number,
        setting=setting,
        drafts=drafts,
        right=random.choice((0.3, 0.7, 0.7, 0.9, 1.0)),
        schedule=draw_schedule(random),
        door="custom_generate" if by_generate else "function",
        seed=random.randrange(2**31),
    )


def draw_setting(random: Random) -> Setting:
    """Return a text's setting."""
    shape = Shape(
        vocab=random.choice((16, 64)),
        shared_layers=random.choice((0, 2)),
        centroids=random.choice((0, 8)),
        experts=random.random() < 0.2,
        softcap=random.choice((None, 5.0)),
        per_layer_inputs=random.choice((0, 4)),
        seed=random.randrange(3),
    )
    greedy = random.random() < 0.6
    stops: tuple[Stop, ...] = ("length", "eos", "string", "criterion")
    return Setting(
        shape=shape,
        wrapped=random.random() < 0.15,
        double=not greedy or random.random() < 0.5,
        prompt_length=random.choice(LENGTHS),
        prompt_words=random.choice((3, shape.vocab)),
        prompt_seed=random.randrange(1000),
        max_new_tokens=random.randint(1, 20),
        stop=random.choices(stops, weights=(3, 4, 3, 1))[0],
        stop_place=random.random(),
        repetition_penalty=random.choice((None, None, None, 1.3, 0.8)),
        no_repeat=random.random() < 0.15,
        temperature=0.0 if greedy else random.choice((0.3, 0.7, 1.0, 1.0, 1.7)),
        top_k=None if greedy else random.choice((None, None, 1, 3, 12)),
        top_p=None if greedy else random.choice((None, None, 0.5, 0.9)),
    )


def draw_schedule(random: Random) -> Schedule:
    """Return a schedule of any kind."""
    kind = random.randrange(4)
    if kind == 0:
        return Constant(random.randint(1, 9))
    if kind == 1:
        return Heuristic(random.randint(1, 6))
    if kind == 2:
        return Confidence(random.choice((0.0, 0.1, 0.3, 0.6, 1.0)), random.randint(1, 9))
    # Sometimes it never asks for a draft: then the run must be the plain one.
    size = 0 if random.random() < 0.2 else random.randint(1, 20)
    return FromProfile(tuple(random.randint(0, 6) for _ in range(size)))


def features(case: Case) -> list[str]:
    """Return what is worth counting about a case."""
    setting, shape = case.setting, case.setting.shape
    side = "shorter than" if setting.prompt_length < WINDOW else "at least as long as"
    flags = {
        "KV-shared target": shape.shared_layers > 0,
        "centroid head": shape.centroids > 0,
        "MoE target": shape.experts,
        "soft-capped target": shape.softcap is not None,
        "per-layer inputs": shape.per_layer_inputs > 0,
        "class of the real checkpoints": setting.wrapped,
        "repetition penalty": setting.repetition_penalty is not None,
        "no repeated pairs": setting.no_repeat,
        "top-k": setting.top_k is not None,
        "top-p": setting.top_p is not None,
    }
    return [
        f"prompt {side} the window",
        "greedy" if setting.is_greedy else "sampled",
        "float64" if setting.double else "float32",
        f"drafts: {case.drafts}",
        f"schedule: {type(case.schedule).__name__}",
        f"may stop at: {setting.stop}",
        f"through: {case.door}",
        *(name for name, is_so in flags.items() if is_so),
    ]
