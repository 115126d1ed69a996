"""The acceptance profile of a text: what the drafter would propose at every position of it.

Under greedy decoding the text does not depend on the drafts, so neither does the chain of drafts
from a position, nor how many of them the target accepts. Known once, they let `replay` answer for
every schedule without a model; so the record is read without torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gemma_mtp_edu.core.schedules import check_gamma
from gemma_mtp_edu.core.trace import GenerationTrace, StopReason, read_record, write_record

SCHEMA = "gemma_mtp_edu.profile/1"
CHUNK_BYTES = 2**28  # 256 MiB
Ints = Sequence[int]


@dataclass(frozen=True, slots=True, repr=False)
class AcceptanceProfile:
    """What would be drafted and accepted at every position of one greedy text.

    Position `i` means: `i` tokens have been written, token `i - 1` is the newest one, and the first
    draft proposes token `i`. Entry 0 is empty, because the first token comes from the prefill.
    """

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]  # of the text, end marks included
    text: str  # without special tokens
    # Per position: how many drafts of the chain the target would accept (the first ones that are
    # equal to the text), the drafter's own chain of `max_gamma` drafts, its probability of each.
    # A chain feeds back its own drafts, also wrong ones, and goes on past the end of the text.
    n_accepted: tuple[int, ...]
    draft_ids: tuple[tuple[int, ...], ...]
    draft_probs: tuple[tuple[float, ...], ...]
    max_gamma: int
    max_new_tokens: int  # that the text was written under; rounds near it draft fewer
    stop_reason: StopReason
    vocabulary: Mapping[int, str] = field(default_factory=dict)  # of text and drafts
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.token_ids)

    def __repr__(self) -> str:
        right = sum(self.n_accepted) / max(1, len(self) - 1)
        text = f"{len(self)} tokens of {self.provenance.get('pair', 'a pair')}"
        drafts = f"{self.max_gamma} drafts from each position, {right:.2f} of them right on average"
        return f"AcceptanceProfile({text}, {drafts})"

    def to_json(self, indent: int | None = None) -> str:
        """Return the profile as JSON text for `from_json`."""
        return write_record(self, SCHEMA, indent)

    @classmethod
    def from_json(cls, text: str) -> "AcceptanceProfile":
        """Read a profile that `to_json` wrote; a ValueError says what is wrong with another."""
        profile = read_record(text, SCHEMA, cls)
        n, limit = len(profile), profile.max_new_tokens
        sizes = [0, *[profile.max_gamma] * (n - 1)]
        if not (n and sizes == [*map(len, profile.draft_ids)] == [*map(len, profile.draft_probs)]):
            raise ValueError(f"need {profile.max_gamma} drafts and probabilities at each position")
        if profile.n_accepted != accepted_counts(profile.token_ids, profile.draft_ids):
            raise ValueError("n_accepted does not agree with text and drafts: not of the same run")
        if n > limit or (profile.stop_reason == "length" and n < limit):
            raise ValueError(f"got {n} tokens and max_new_tokens {limit}, which do not go together")
        return profile


def accepted_counts(token_ids: Ints, draft_ids: Sequence[Ints]) -> tuple[int, ...]:
    """Return per position how many drafts agree with the text before the first that does not.

    >>> accepted_counts([5, 6, 7, 8], [[], [6, 7, 9], [1, 8, 9], [8, 8, 8]])
    (0, 2, 0, 1)
    """
    counts = []
    for position, drafts in enumerate(draft_ids):
        pairs = list(zip(drafts, token_ids[position:], strict=False))
        counts.append(next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs)))
    return tuple(counts)


def acceptance_profile(
    pair: Any, prompt: Any, *, max_gamma: int = 16, max_new_tokens: int = 128
) -> AcceptanceProfile:
    """Write a text greedily and draft from every position of it.

    Costs the plain run, one target pass over the text, and `max_gamma` drafter passes over all
    positions, in chunks of at most `CHUNK_BYTES`. A pass over many positions rounds differently
    from a pass over one, so at a tie between two drafts a run may take the other one. What is
    accepted is read off the greedy text, never off that one target pass.
    """
    from gemma_mtp_edu.core.decoding import autoregressive_generate
    from gemma_mtp_edu.core.drafters import MTPDrafter

    check_gamma(max_gamma)
    MTPDrafter(pair.drafter, pair.target.get_input_embeddings())  # raises for any other kind
    plain = autoregressive_generate(pair, prompt, max_new_tokens=max_new_tokens)
    return profile_of(pair, plain, max_gamma=max_gamma, max_new_tokens=max_new_tokens)


def profile_of(
    pair: Any, plain: GenerationTrace, *, max_gamma: int = 16, max_new_tokens: int | None = None
) -> AcceptanceProfile:
    """Draft from every position of a text that is there already: a plain greedy run of the target.

    So a drafter that changes can be evaluated again and again on the same text. Without
    `max_new_tokens`, a text that ended by itself is taken to have had room for more.
    """
    import torch

    if max_new_tokens is None:
        room = 0 if plain.stop_reason == "length" else max_gamma + 1
        max_new_tokens = len(plain.token_ids) + room
    # Nothing is drafted after the last token, so no pass needs it.
    text = torch.tensor([[*plain.prompt_ids, *plain.token_ids[:-1]]], device=pair.device)
    newest = torch.arange(len(plain.prompt_ids), text.shape[1], device=pair.device)
    ids, probs = draft_chains(pair, text, newest, max_gamma)
    # Position 0 has no chain: the first token comes from the prefill.
    draft_ids = ((), *map(tuple, ids.tolist()))
    return AcceptanceProfile(
        prompt_ids=plain.prompt_ids, token_ids=plain.token_ids, text=plain.text,
        n_accepted=accepted_counts(plain.token_ids, draft_ids), draft_ids=draft_ids,
        draft_probs=((), *map(tuple, probs.tolist())), max_gamma=max_gamma,
        max_new_tokens=max_new_tokens, stop_reason=plain.stop_reason,
        vocabulary=pair.token_texts({*plain.token_ids, *ids.unique().tolist()}),
        provenance=pair.provenance("acceptance profile"),
    )  # fmt: skip


def positions_per_chunk(pair: Any, text_length: int) -> int:
    """Return how many positions one drafter pass takes, so that `CHUNK_BYTES` are enough.

    A position needs, in float32, two masks and the scores of every attention head over the text,
    and scores and probabilities of the candidate tokens; a centroid head also their embeddings.
    """
    head, config = pair.drafter.masked_embedding, pair.drafter.config.get_text_config()
    candidates, width = config.vocab_size, 0
    if head is not None:
        candidates = head.centroid_intermediate_top_k * head.vocab_size_per_centroid
        width = config.hidden_size
    needed = (config.num_attention_heads + 2) * text_length + candidates * (width + 2)
    return max(1, CHUNK_BYTES // (4 * needed))


def draft_chains(pair: Any, text: Any, newest: Any, max_gamma: int) -> tuple[Any, Any]:
    """Return the drafter's chains `[positions, max_gamma]` from positions of a text, and their q.

    In a run the drafter sees the keys and values of the tokens before the newest one, because no
    others exist yet. Here one target pass has made those of the whole text `[1, seq]`, and a mask
    hides from each position what it would not see there. `newest` holds the indexes `[positions]`
    at which the newest token stands.
    """
    import torch

    from gemma_mtp_edu.core.drafters import MTPDrafter
    from gemma_mtp_edu.core.sampling import check_finite
    from gemma_mtp_edu.core.target import ALL_ROWS

    drafter = MTPDrafter(pair.drafter, pair.target.get_input_embeddings())
    window = pair.target.config.get_text_config().sliding_window
    size = positions_per_chunk(pair, text.shape[1])
    ids = text.new_zeros(len(newest), max_gamma)
    probs = torch.zeros(len(newest), max_gamma, device=text.device)
    with torch.no_grad():
        given = {"input_ids": text, "use_cache": False, "logits_to_keep": ALL_ROWS}
        out = pair.target.base_model(**given, return_shared_kv_states=True)
        shared_kv = {
            kind: (keys.to(drafter.device, drafter.dtype), values.to(drafter.device, drafter.dtype))
            for kind, (keys, values) in out.shared_kv_states.items()
        }
        for start in range(0, len(newest), size):
            at = newest[start : start + size]
            # The state that predicted the newest token stands one before it.
            hidden = out.last_hidden_state[:, at - 1].to(drafter.device, drafter.dtype)
            # Constant for all steps, as in a run.
            position, tokens = at[None].to(drafter.device), text[:, at]
            masks = drafter_masks(position, text.shape[1], window, hidden.dtype)
            for step in range(max_gamma):
                states, hidden = drafter.step(tokens, hidden, position, shared_kv, masks)
                scores, candidates = drafter.score(states[0])
                best = scores.float().softmax(-1).max(-1)
                index = best.indices[:, None]
                found = index if candidates is None else candidates.gather(1, index)
                tokens = found.T.to(text.device)
                ids[start : start + size, step] = tokens[0]
                probs[start : start + size, step] = best.values
    check_finite(probs, "drafter")
    return ids, probs


def drafter_masks(newest: Any, length: int, window: int, dtype: Any) -> dict[str, Any]:
    """Return who sees what: the KV of tokens before the newest one only, and of its window.

    `newest` holds the positions `[batch, n]` of the newest tokens in texts of `length` tokens. The
    masks `[batch, 1, n, length]` are added to attention scores of that `dtype`.
    """
    import torch

    key, newest = torch.arange(length, device=newest.device), newest[:, None, :, None]
    before, lowest = key < newest, torch.finfo(dtype).min
    visible = {"full_attention": before, "sliding_attention": before & (key >= newest - window)}
    return {kind: (~seen).to(dtype) * lowest for kind, seen in visible.items()}
