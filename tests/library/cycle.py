"""A pair built in memory in which each token has one successor, for probes that need no files.

The target knows all successors, the drafter all but some. So accepted, rejected and bonus tokens
all occur, and the same on every machine. Everything else is a real Gemma 4 pair: two kinds of
attention, shared keys and values, a sliding window.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tests.cases import tables

SIZES = tables(__file__)
WINDOW, HIDDEN, _KINDS = (SIZES[n] for n in ("sliding_window", "hidden_size", "layer_types"))
_WRONG_ONE_IN = 4
_QUIET = 0.1  # how much a layer adds: enough to see the text, too little to change a successor


@dataclass(frozen=True, slots=True, eq=False)
class CyclePair:
    """Two models without tokenizer, and which token follows which as each of them knows it."""

    target: Any
    drafter: Any  # with four drafts per round configured
    successors: Int[Tensor, " vocab"]  # as the target knows them
    guesses: Int[Tensor, " vocab"]  # as the drafter does

    def prompt(self, length: int) -> Int[Tensor, "1 seq"]:
        """Return a prompt that follows the cycle up to a token whose successor both know."""
        known = (self.guesses == self.successors).nonzero()[:, 0].tolist()
        before = {after: token for token, after in enumerate(self.successors.tolist())}
        ids = [known[0]]
        while len(ids) < length:
            ids.append(before[ids[-1]])
        return torch.tensor([ids[::-1]])

    def pair(self, tokenizer: Any = None) -> Any:
        """Return the `ModelPair` that our own loop takes."""
        from gemma_mtp_edu import ModelPair

        return ModelPair(self.target, self.drafter, tokenizer, name="cycle")


@torch.no_grad()
def cycle_pair(vocab: int = 64, sharpness: float = 2.0) -> CyclePair:
    """Return the pair, the same each time; sharpness, the scale of the logits, makes both surer."""
    from transformers import GenerationConfig

    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        target, drafter = _models(vocab)
        order = torch.randperm(vocab)
        successors = torch.empty_like(order).scatter_(0, order, order.roll(-1))
        wrong = torch.arange(vocab) % _WRONG_ONE_IN == 1
        guesses = torch.where(wrong, successors.roll(1), successors)
        _teach(target.lm_head, _target_states(target, vocab), successors, sharpness)
        _teach(drafter.lm_head, _drafter_states(target, drafter, vocab), guesses, sharpness)
    target.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=None)
    drafter.generation_config = GenerationConfig(
        num_assistant_tokens=4, num_assistant_tokens_schedule="constant", is_assistant=True
    )
    return CyclePair(target, drafter, successors, guesses)


def _models(vocab: int) -> tuple[Any, Any]:
    from transformers import Gemma4AssistantConfig as Config
    from transformers import Gemma4AssistantForCausalLM, Gemma4ForCausalLM

    target = Gemma4ForCausalLM(_layers(vocab, shared=0)).float().eval()
    config = Config(
        text_config=_layers(vocab, shared=len(_KINDS)),
        backbone_hidden_size=HIDDEN,
        use_ordered_embeddings=False,
        num_centroids=1,
        centroid_intermediate_top_k=1,
    )
    drafter = Gemma4AssistantForCausalLM(config).float().eval()
    for model in (target, drafter):
        for name, weight in model.named_parameters():
            if "post_" in name and name.endswith("norm.weight"):
                weight.fill_(_QUIET)
    target.model.embed_tokens.weight.normal_(std=HIDDEN**-0.5)
    # The drafter looks at the newest token, and a little at the state beside it.
    both = torch.cat([torch.eye(HIDDEN), _QUIET * torch.eye(HIDDEN)], dim=1)
    drafter.pre_projection.weight.copy_(both)
    drafter.lm_head.weight = torch.nn.Parameter(torch.zeros(vocab, HIDDEN))
    return target, drafter


def _layers(vocab: int, shared: int) -> Any:
    from transformers import Gemma4TextConfig

    return Gemma4TextConfig(**SIZES, vocab_size=vocab, num_kv_shared_layers=shared)


def _target_states(target: Any, vocab: int) -> Float[Tensor, "vocab hidden"]:
    """Return the state after each token alone."""
    states: Tensor = target.model(torch.arange(vocab)[:, None], use_cache=False).last_hidden_state
    return states[:, 0]


def _drafter_states(target: Any, drafter: Any, vocab: int) -> Float[Tensor, "vocab hidden"]:
    """Return the drafter's state for each newest token, after one and the same text."""
    text = target.model(torch.arange(4)[None], use_cache=False, return_shared_kv_states=True)
    shared = {
        kind: (keys.expand(vocab, -1, -1, -1), values.expand(vocab, -1, -1, -1))
        for kind, (keys, values) in text.shared_kv_states.items()
    }
    embeds = target.get_input_embeddings()(torch.arange(vocab)[:, None])
    states: Tensor = drafter.model(
        inputs_embeds=drafter.pre_projection(torch.cat([embeds, torch.zeros_like(embeds)], -1)),
        attention_mask=dict.fromkeys(_KINDS),
        position_ids=torch.full((vocab, 1), 4),
        shared_kv_states=shared,
        use_cache=False,
    ).last_hidden_state
    return states[:, 0]


def _teach(head: torch.nn.Linear, states: Tensor, next_ids: Tensor, sharpness: float) -> None:
    """Make each token's state point at the row of the token that is to follow it."""
    rows = torch.nn.functional.normalize(states - states.mean(0), dim=-1)
    head.weight[next_ids] = sharpness * rows
