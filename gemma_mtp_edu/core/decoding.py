"""The two loops: one token per target pass, and draft, verify, commit, crop."""

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import LogitsProcessorList

from gemma_mtp_edu.core.checked_drafter import CheckedDrafter
from gemma_mtp_edu.core.drafters import CausalLMDrafter, DraftContext, Drafter, check_drafter
from gemma_mtp_edu.core.mtp_drafter import MTPDrafter
from gemma_mtp_edu.core.options import OnTokens, Options, Streamer
from gemma_mtp_edu.core.run import Run, new_run
from gemma_mtp_edu.core.schedules import (
    Constant,
    LastRound,
    Schedule,
    asked,
    check_gamma,
    check_schedule,
    from_generation_config,
)
from gemma_mtp_edu.core.sharing import running
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.compatibility import is_mtp_drafter
from gemma_mtp_edu.models.pairs import ModelPair, check_is_pair
from gemma_mtp_edu.models.registry import recommended


@torch.inference_mode()
def decode_plainly(run: Run) -> None:
    """Write the text with one target pass per token."""
    run.prefill()
    while run.text.stop_reason is None:
        output = run.target.verify(run.text.newest)
        verdict, _ = run.judge(output, None)
        verify_seconds = run.recorder.lap()
        run.commit(None, verdict, None)
        run.target.crop(0)
        run.recorder.end_round(0.0, verify_seconds)


@torch.inference_mode()
def speculate(run: Run, drafter: Drafter, schedule: Schedule) -> None:
    """Write the text round by round: draft, verify, commit, crop.

    Source: Leviathan et al. 2023, arXiv:2211.17192, Algorithm 1.
    """
    handed, last = run.prefill(), None
    while run.text.stop_reason is None:
        # Draft. The verify pass gives a token of its own, so at the end one fewer is drafted.
        gamma = asked(schedule, run.text.n_new, last)
        context = DraftContext(run.text.ids, handed, run.recorder.round)
        draft = drafter.draft(context, min(gamma, run.text.remaining - 1), run.sampler, schedule)
        draft_seconds = run.recorder.lap()

        # Verify: one pass over the newest token and all drafts.
        output = run.target.verify(torch.cat([run.text.newest, draft.ids], dim=1))
        verdict, target_probs = run.judge(output, draft)
        verify_seconds = run.recorder.lap()

        # Commit the accepted drafts and the target's own token.
        n_written = run.commit(draft, verdict, target_probs)

        # Crop: neither the target nor the drafter may see a rejected token again, nor one behind
        # the end of the text. The last token written is in no cache yet.
        n_rejected = draft.ids.shape[1] + 1 - n_written
        run.target.crop(n_rejected)
        handed = run.target.hand_over(output, verdict.n_accepted, n_rejected)

        last = LastRound(gamma, draft.ids.shape[1], verdict.n_accepted)
        run.recorder.end_round(draft_seconds, verify_seconds)


def autoregressive_generate(
    pair: ModelPair,
    prompt: str | Int[Tensor, "1 seq"],
    *,
    max_new_tokens: int = 128,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float | None = None,
    logits_processor: LogitsProcessorList | None = None,
    stop_strings: list[str] | None = None,
    seed: int | None = None,
    on_tokens: OnTokens | None = None,
    streamer: Streamer | None = None,
) -> GenerationTrace:
    """Write a text with the target alone, one token per pass.

    Args:
        pair: The models; only the target runs.
        prompt: A user's message, or token ids `[1, seq]`.
        max_new_tokens: Tokens to write at most; at least 1.
        temperature: 0 for greedy decoding, else sampling.
        top_k: When sampling, keep that many most probable tokens.
        top_p: When sampling, keep the most probable tokens up to that mass.
        repetition_penalty: Divide the scores of tokens that occur already; 1 is off.
        logits_processor: More of transformers' processors; they come before the warpers.
        stop_strings: Strings that end the text.
        seed: Seed of the sampling; the global random state is neither read nor changed.
        on_tokens: Called with the new token ids of each pass, as they come.
        streamer: A streamer of transformers, such as `TextStreamer(pair.tokenizer)`.

    Returns:
        The trace. Round 0 is the prefill.

    Raises:
        ValueError: The prompt or a number is out of range.
        NonFiniteLogitsError: The target gave NaN or infinity.
    """
    check_is_pair(pair)
    options = Options(
        max_new_tokens,
        temperature,
        top_k,
        top_p,
        repetition_penalty,
        logits_processor,
        stop_strings,
        seed,
        on_tokens,
        streamer,
    )
    run = new_run(pair, prompt, options, hands_over=False)
    with running(pair.target):
        decode_plainly(run)
    return run.trace(pair, "plain")


def speculative_generate(
    pair: ModelPair,
    prompt: str | Int[Tensor, "1 seq"],
    *,
    schedule: Schedule | None = None,
    gamma: int | None = None,
    drafter: Drafter | None = None,
    max_new_tokens: int = 128,
    temperature: float = 0.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float | None = None,
    logits_processor: LogitsProcessorList | None = None,
    stop_strings: list[str] | None = None,
    seed: int | None = None,
    on_tokens: OnTokens | None = None,
    streamer: Streamer | None = None,
) -> GenerationTrace:
    """Write what the target alone would write, with a drafter that proposes tokens.

    Args:
        pair: The models.
        prompt: A user's message, or token ids `[1, seq]`.
        schedule: How many tokens to draft in each round.
        gamma: The same number of drafts in every round; instead of a schedule. With neither, the
            drafter's `generation_config` decides, and where it sets no number, the registry.
        drafter: Proposes instead of the pair's drafter, such as `PromptLookupDrafter()`.
        max_new_tokens: Tokens to write at most; at least 1.
        temperature: 0 for greedy decoding, else sampling, with exactly the target's law.
        top_k: When sampling, keep that many most probable tokens; in both models.
        top_p: When sampling, keep the most probable tokens up to that mass; in both models.
        repetition_penalty: Divide the scores of tokens that occur already; 1 is off.
        logits_processor: More of transformers' processors; they come before the warpers.
        stop_strings: Strings that end the text, also inside accepted drafts.
        seed: Seed of the sampling; the global random state is neither read nor changed.
        on_tokens: Called with the new token ids of each round, as they come.
        streamer: A streamer of transformers, such as `TextStreamer(pair.tokenizer)`.

    Returns:
        The trace. Round 0 is the prefill.

    Raises:
        ValueError: The prompt or a number is out of range, both schedule and gamma are given, or
            `drafter` gave no draft that can be judged.
        NonFiniteLogitsError: One of the pair's models gave NaN or infinity.

    Source: Leviathan et al. 2023, arXiv:2211.17192, Algorithm 1.
    """
    options = Options(
        max_new_tokens,
        temperature,
        top_k,
        top_p,
        repetition_penalty,
        logits_processor,
        stop_strings,
        seed,
        on_tokens,
        streamer,
    )
    check_is_pair(pair)
    chosen_schedule = choose_schedule(pair, schedule, gamma)
    chosen_drafter = pair_drafter(pair) if drafter is None else check_drafter(drafter)
    if drafter is not None:
        vocabulary = pair.target.config.get_text_config().vocab_size
        chosen_drafter = CheckedDrafter(chosen_drafter, vocabulary)
    run = new_run(pair, prompt, options, hands_over=chosen_drafter.hands_over)
    with running(pair.target, pair.drafter):
        speculate(run, chosen_drafter, chosen_schedule)
    return run.trace(pair, f"speculative, {chosen_schedule}")


def pair_drafter(pair: ModelPair) -> Drafter:
    """Return a drafter of the right kind for the pair's drafter model, fresh for one generation."""
    if is_mtp_drafter(pair.drafter.config):
        return MTPDrafter(pair.drafter, pair.target.get_input_embeddings())
    return CausalLMDrafter(pair.drafter)


def choose_schedule(
    pair: ModelPair, schedule: Schedule | None = None, gamma: int | None = None
) -> Schedule:
    """Return the schedule that was asked for, or the one of the drafter's configuration.

    Raises:
        ValueError: Both are given, a number is out of range, or nothing sets a number of drafts.
    """
    if schedule is not None and gamma is not None:
        raise ValueError(
            tr(
                "got schedule {schedule} and gamma {gamma}, need one of them: gamma=4 is short for "
                "schedule=Constant(4)",
                schedule=schedule,
                gamma=gamma,
            )
        )
    if schedule is not None:
        return check_schedule(schedule)
    if gamma is not None:
        return Constant(check_gamma(gamma))
    return from_generation_config(pair.drafter.generation_config, recommended(pair.name))
