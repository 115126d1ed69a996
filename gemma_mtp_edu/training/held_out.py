"""How a drafter does on texts that it is not trained on: exact, by replay."""

import copy
from collections.abc import Sequence

from gemma_mtp_edu.analysis.profile import profile_of
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.models.pairs import ModelPair
from gemma_mtp_edu.training.training_input import check_texts
from gemma_mtp_edu.training.training_plan import Look


def held_out_look(pair: ModelPair, held_out: Sequence[GenerationTrace], gamma: int) -> Look:
    """Return acceptance and tokens per round of `gamma` drafts in every round on known texts.

    A drafter in another number format than its target's is judged as a copy in that one.

    Raises:
        ValueError: What is held out are no texts.
    """
    check_texts(held_out)
    if not held_out:
        return Look(0)
    pair = _in_target_dtype(pair)
    runs = [replay(profile_of(pair, text, max_gamma=gamma), Constant(gamma)) for text in held_out]
    rounds = [record for run in runs for record in run.draft_rounds]
    drafted = sum(len(record.draft_ids) for record in rounds)
    accepted = sum(record.n_accepted for record in rounds)
    return Look(
        0,
        acceptance=accepted / drafted if drafted else 0.0,
        tokens_per_round=(accepted + len(rounds)) / len(rounds) if rounds else 1.0,
    )


def _in_target_dtype(pair: ModelPair) -> ModelPair:
    """Return the pair with its drafter in the target's number format, as a run needs it."""
    if pair.drafter.dtype == pair.target.dtype:
        return pair
    drafter = copy.deepcopy(pair.drafter).to(dtype=pair.target.dtype)
    return ModelPair(pair.target, drafter, processor=pair.processor, name=pair.name)
