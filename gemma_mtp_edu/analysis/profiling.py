"""Make an acceptance profile: draft from every position of a text at once.

In a run the drafter sees the keys and values of the tokens before the newest one, because no others
exist yet. Here one target pass has made those of the whole text, and a mask hides from each
position what it would not see there.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gemma_mtp_edu.analysis.profile import AcceptanceProfile, accepted_counts
from gemma_mtp_edu.core.arguments import whole
from gemma_mtp_edu.core.decoding import autoregressive_generate
from gemma_mtp_edu.core.drafters import MTPDrafter
from gemma_mtp_edu.core.sampling import check_finite
from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.core.target import SharedKV
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.compatibility import is_mtp_drafter
from gemma_mtp_edu.models.pairs import ModelPair, check_is_pair

CHUNK_BYTES = 2**28  # 256 MiB


@torch.no_grad()
def acceptance_profile(
    pair: ModelPair,
    prompt: str | Int[Tensor, "1 seq"],
    *,
    max_gamma: int = 16,
    max_new_tokens: int = 128,
) -> AcceptanceProfile:
    """Write a text greedily and draft from every position of it.

    Costs the plain run, one target pass over the text, and `max_gamma` drafter passes over all
    positions. They go in chunks of `positions_per_chunk`, so that the memory which grows with the
    number of positions stays below `CHUNK_BYTES` however long the text is.

    A pass over many positions rounds differently from a pass over one, so where the drafter finds
    two tokens equally good a run may take the other one. What is accepted is read off the greedy
    text, never off the one target pass. In bfloat16 a speculative run may write another text than
    the plain one; the profile is that of the plain text.

    Args:
        pair: A target and its Gemma 4 MTP drafter, with sdpa or eager attention.
        prompt: A user's message, or token ids `[1, seq]`.
        max_gamma: Drafts from each position; at least 1.
        max_new_tokens: Tokens to write at most; at least 1.

    Raises:
        ValueError: A number is out of range, or the drafter is of another kind.
    """
    check_is_pair(pair)
    max_gamma = _checked(pair, max_gamma)
    plain = autoregressive_generate(pair, prompt, max_new_tokens=max_new_tokens)
    return profile_of(pair, plain, max_gamma=max_gamma, max_new_tokens=max_new_tokens)


@torch.no_grad()
def profile_of(
    pair: ModelPair,
    plain: GenerationTrace,
    *,
    max_gamma: int = 16,
    max_new_tokens: int | None = None,
) -> AcceptanceProfile:
    """Draft from every position of a text that is there already: a plain greedy run of the target.

    So a drafter that changes can be judged again and again on the same text. `acceptance_profile`
    says what the arguments mean; without `max_new_tokens`, a text that ended by itself is taken to
    have had room for more.
    """
    max_gamma = _checked(pair, max_gamma)
    if max_new_tokens is None:
        room = 0 if plain.stop_reason == "length" else max_gamma + 1
        max_new_tokens = len(plain.token_ids) + room
    max_new_tokens = whole(max_new_tokens, "max_new_tokens", 1, " of tokens")
    # Nothing is drafted after the last token, so no pass needs it.
    text = torch.tensor([[*plain.prompt_ids, *plain.token_ids[:-1]]], device=pair.device)
    newest = torch.arange(len(plain.prompt_ids), text.shape[1], device=pair.device)
    ids, probs = draft_chains(pair, text, newest, max_gamma)
    # Position 0 has no chain: the first token comes from the prefill.
    draft_ids = ((), *map(tuple, ids.tolist()))
    return AcceptanceProfile(
        prompt_ids=plain.prompt_ids,
        token_ids=plain.token_ids,
        text=plain.text,
        n_accepted=accepted_counts(plain.token_ids, draft_ids),
        draft_ids=draft_ids,
        draft_probs=((), *map(tuple, probs.tolist())),
        max_gamma=max_gamma,
        max_new_tokens=max_new_tokens,
        stop_reason=plain.stop_reason,
        vocabulary=pair.token_texts({*plain.token_ids, *ids.unique().tolist()}),
        provenance=pair.provenance("acceptance profile"),
    )


def positions_per_chunk(pair: ModelPair, text_length: int) -> int:
    """Return how many positions one drafter pass takes.

    A position needs a mask and scores in every attention head over the text, and the embeddings and
    scores of the searched tokens; in float32 that is
    `4 * ((heads + 2) * text_length + searched * (hidden + 2))` bytes, where a dense head has no
    embeddings of its own: `4 * ((heads + 2) * text_length + vocabulary * 2)`.
    """
    head, config = pair.drafter.masked_embedding, pair.drafter.config.get_text_config()
    searched, width = config.vocab_size, 0
    if head is not None:
        searched = head.centroid_intermediate_top_k * head.vocab_size_per_centroid
        width = config.hidden_size
    heads = config.num_attention_heads
    needed = 4 * ((heads + 2) * text_length + searched * (width + 2))
    return max(1, CHUNK_BYTES // needed)


@torch.no_grad()
def draft_chains(
    pair: ModelPair, text: Int[Tensor, "1 seq"], newest: Int[Tensor, " positions"], max_gamma: int
) -> tuple[Int[Tensor, "positions gamma"], Float[Tensor, "positions gamma"]]:
    """Return the drafter's chain, and its probabilities, from each of some places in a text.

    `newest` are ascending indexes into the text: where the newest token stands.
    """
    passed = pair.target.base_model(input_ids=text, use_cache=False, return_shared_kv_states=True)
    states = dict(passed.shared_kv_states)
    # Of a target that is spread over GPUs the last layer may lie on another one than the text.
    hidden = passed.last_hidden_state.to(text.device)
    chunks = [
        # The state that predicted the newest token stands one before it.
        _chunk(pair, text[:, at], at, hidden[:, at - 1], states, max_gamma)
        for at in newest.split(positions_per_chunk(pair, text.shape[1]))
        if len(at)
    ]
    if not chunks:
        return text.new_zeros(0, max_gamma), torch.zeros(0, max_gamma)
    ids, probs = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    check_finite(probs.amin(1), "drafter")
    return ids, probs


def _chunk(
    pair: ModelPair,
    tokens: Int[Tensor, "1 positions"],
    newest: Int[Tensor, " positions"],
    hidden: Float[Tensor, "1 positions backbone_hidden"],
    shared_kv_states: SharedKV,
    max_gamma: int,
) -> tuple[Int[Tensor, "positions gamma"], Float[Tensor, "positions gamma"]]:
    """Draft from some positions: each step is one drafter pass over all of them."""
    drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())
    visible, masks = _visible(pair, newest, shared_kv_states, drafter.device, hidden.dtype)
    newest, hidden = newest.to(drafter.device), hidden.to(drafter.device)
    chains: list[tuple[Tensor, Tensor]] = []
    for _ in range(max_gamma):
        # The position is constant for all steps, as in a run.
        states, hidden = drafter.step(tokens, hidden, newest[None], visible, masks)
        scores, candidates = drafter.score(states[0])
        best = scores.float().softmax(-1).max(-1)
        index = best.indices[:, None]
        ids = (index if candidates is None else candidates.gather(1, index))[:, 0]
        tokens = ids.to(tokens.device)[None]
        chains.append((ids, best.values))
    ids, probs = (torch.stack(values, dim=1).cpu() for values in zip(*chains, strict=True))
    return ids, probs


def _visible(
    pair: ModelPair,
    newest: Int[Tensor, " positions"],
    shared_kv_states: SharedKV,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[SharedKV, dict[str, Tensor]]:
    """Return the keys and values that any of the positions sees, and who sees which of them."""
    window = pair.target.config.get_text_config().sliding_window
    first, last = int(newest[0]), int(newest[-1])
    states, masks = {}, {}
    for kind, (keys, values) in shared_kv_states.items():
        reach = window if kind == "sliding_attention" and window else last
        start = max(0, first - reach)
        states[kind] = (keys[:, :, start:last].to(device), values[:, :, start:last].to(device))
        key = torch.arange(start, last, device=newest.device)
        seen = (key < newest[:, None]) & (key >= newest[:, None] - reach)
        masks[kind] = additive_mask(seen.to(device), dtype)[None, None]
    return states, masks


def additive_mask(visible: Bool[Tensor, "..."], dtype: torch.dtype) -> Float[Tensor, "..."]:
    """Return a mask to add to attention scores, which sdpa and eager attention both understand."""
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)


def _checked(pair: ModelPair, max_gamma: int) -> int:
    """Return the drafts of a chain, once the drafter is known to fit."""
    most, gamma = pair.positions, check_gamma(max_gamma)
    if most is not None and gamma > most:
        raise ValueError(
            tr(
                "got max_gamma {gamma}, need at most {most}: the target has no more positions",
                gamma=gamma,
                most=most,
            )
        )
    config = pair.drafter.config
    if not is_mtp_drafter(config):
        raise ValueError(
            tr(
                "the drafter is a {model_type}, need a Gemma 4 MTP drafter: only that drafts "
                "from all positions at once, because it has no cache of its own",
                model_type=config.model_type,
            )
        )
    attention = config.get_text_config()._attn_implementation
    if attention not in ("sdpa", "eager"):
        raise ValueError(
            f"the drafter's attention is {attention!r}, which takes no mask: call "
            "pair.drafter.set_attn_implementation('sdpa')"
        )
    return gamma
