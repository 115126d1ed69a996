"""How a drafter is trained, and what a look at its training shows: plain records."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from gemma_mtp_edu.core.arguments import real, whole
from gemma_mtp_edu.core.stored import need_kinds
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.training.distillation import LOSS_NAMES, LossName

# A training may go on for longer or with more patience; all else shapes its weights and looks.
_MAY_CHANGE = {"steps", "patience"}
_LOOK_KINDS = {
    "step": "count",
    "agreement": "probabilities",
    **dict.fromkeys(("loss", "acceptance", "tokens_per_round"), "a number"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train.

    Attributes:
        steps: Optimizer steps.
        unroll: Draft steps from every position.
        loss: A name of `distillation.LOSSES`.
        learning_rate: The highest; it warms up linearly over `warmup` steps and falls linearly to
            2% from step `decay_from` on (None: from two thirds on).
        warmup: Steps.
        decay_from: A step, or None.
        check_every: Steps between two looks at the held-out texts, which are also those between
            two points of the log and two checkpoints.
        gamma: Drafts per round for the held-out acceptance.
        patience: Looks without a better acceptance before it stops; 0: it never stops early.

    Raises:
        ValueError: A number is out of range, or the loss is unknown.
    """

    steps: int = 300
    unroll: int = 4
    loss: LossName = "cross-entropy"
    learning_rate: float = 3e-3
    warmup: int = 20
    decay_from: int | None = None
    check_every: int = 50
    gamma: int = 4
    patience: int = 0

    def __post_init__(self) -> None:
        least = {"steps": 1, "unroll": 1, "check_every": 1, "gamma": 1, "warmup": 0, "patience": 0}
        if self.decay_from is not None:
            least["decay_from"] = 0
        for name, smallest in least.items():
            object.__setattr__(self, name, whole(getattr(self, name), name, smallest))
        # As Python's own: a checkpoint stores it.
        rate = real(self.learning_rate, tr("learning rate"), tr("one such as 3e-3"))
        object.__setattr__(self, "learning_rate", rate)
        if not 0 < rate < float("inf"):
            raise ValueError(
                tr("got learning rate {rate}, need one such as 3e-3", rate=self.learning_rate)
            )
        if self.loss not in LOSS_NAMES:
            raise ValueError(
                tr(
                    "got loss {loss!r}, need one of {losses}",
                    loss=self.loss,
                    losses=", ".join(LOSS_NAMES),
                )
            )

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        decay_from = self.steps * 2 // 3 if self.decay_from is None else self.decay_from
        return self.learning_rate * learning_rate_factor(
            step, warmup=self.warmup, decay_from=decay_from, total=self.steps
        )


def learning_rate_factor(step: int, *, warmup: int, decay_from: int, total: int) -> float:
    """Warm up linearly, stay constant, decay linearly to 2% between `decay_from` and `total`."""
    if step < warmup:
        return (step + 1) / warmup
    if step < decay_from:
        return 1.0
    return max(0.02, 1.0 - 0.98 * (step - decay_from) / max(1, total - decay_from))


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the training showed.

    Attributes:
        step: Steps done.
        loss: Mean of the steps since the look before; None before the first step.
        agreement: Per draft step, the share of drafts that were the target's choice, given right
            drafts before them; of the training texts.
        acceptance: Accepted over drafted tokens on the held-out texts; None without any.
        tokens_per_round: On the held-out texts.
    """

    step: int
    loss: float | None = None
    agreement: tuple[float, ...] = ()
    acceptance: float | None = None
    tokens_per_round: float | None = None


def stored(plan: Plan, looks: Sequence[Look]) -> dict[str, Any]:
    """Return what a checkpoint notes of a training beside its weights, for JSON."""
    return {"plan": asdict(plan), "looks": [asdict(look) for look in looks]}


def read_stored(notes: Mapping[str, Any]) -> tuple[Plan, list[Look]]:
    """Return the plan and the looks that `stored` noted.

    Raises:
        KeyError: One is missing.
        TypeError: It is of another form.
        ValueError: A field is of another kind.
    """
    looks = [Look(**look) for look in notes["looks"]]
    if not looks:
        raise ValueError(tr("{name} is missing", name="'looks'"))  # a training begins with one
    for look in looks:
        known = {name: value for name, value in asdict(look).items() if value is not None}
        need_kinds(known, _LOOK_KINDS)
    return Plan(**notes["plan"]), [replace(look, agreement=tuple(look.agreement)) for look in looks]


def differences(was: Plan, now: Plan) -> str:
    """Return in words in what two plans differ that are not of one training; nothing if they are.

    >>> differences(Plan(steps=100, unroll=2), Plan(steps=300, unroll=4))
    'unroll 2 -> 4'
    """
    names = [field.name for field in fields(Plan) if field.name not in _MAY_CHANGE]
    values = [(name, getattr(was, name), getattr(now, name)) for name in names]
    return ", ".join(f"{name} {old} -> {new}" for name, old, new in values if old != new)
