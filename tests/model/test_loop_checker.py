"""The checker of lesson 04 calls right loops right, and names the mistake of every wrong one."""

from typing import Any

import pytest
import torch
from transformers import DynamicCache

from gemma_mtp_edu import ModelPair, autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.target import CACHE
from gemma_mtp_edu.lessons import checks
from tests.cases import cases
from tests.model.tiny import Shape, tiny_pair


@torch.no_grad()
def loop(pair: ModelPair, ids: Any, gamma: int, limit: int, fault: str = "") -> Any:
    """Write a text as lesson 04 does; `fault` puts one mistake in."""
    embed, cache, wrong = (
        pair.target.get_input_embeddings(),
        DynamicCache(config=pair.target.config),
        fault.__eq__,
    )
    more = {"output_hidden_states": True, "return_shared_kv_states": True, "use_cache": True}
    out = pair.target(input_ids=ids, **{CACHE: cache}, **more)
    cache.activate_past_recording()
    n, lost, new = (
        out.logits.shape[1] - 1,
        0,
        [int(out.logits[0, 0 if wrong("first row") else -1].argmax())],
    )
    text = ids[0].tolist() * wrong("prompt returned")
    start, kept = len(text), [] if wrong("prefill token forgotten") else new
    while True:
        for token in kept:
            text.append(token)
            ended = token in pair.eos_ids and not wrong("endless")
            if (ended and not wrong("eos late")) or (
                len(text) - start == limit and not wrong("limit overrun")
            ):
                return torch.tensor([text]) if wrong("tensor") else text
        if (wrong("limit overrun") and len(text) - start >= limit) or (
            wrong("eos late") and pair.eos_ids & {*kept}
        ):
            return text
        row, length = -1 if wrong("wrong row") else n, cache.get_seq_length()
        cut = 0 if wrong("stale kv") else lost
        kv = {
            k: tuple(x[:, :, : x.shape[2] - cut] for x in both)
            for k, both in out.shared_kv_states.items()
        }
        hidden, drafts = out.hidden_states[-1][:, [row]], new[-1:]
        for i in range(0 if wrong("no drafter") else gamma):
            at = torch.tensor([[length + i * wrong("moving position")]])
            fed = torch.tensor([[drafts[0 if wrong("same embedding") else -1]]])
            step = pair.drafter(
                inputs_embeds=torch.cat([embed(fed), hidden], -1),
                position_ids=at,
                shared_kv_states=kv,
            )
            hidden = hidden if wrong("state not fed back") else step.last_hidden_state
            drafts.append(
                int(step.logits.argmin() if wrong("worst draft") else step.logits.argmax())
            )
        passed = drafts[1:] if wrong("newest not fed") else drafts
        out = pair.target(
            input_ids=torch.tensor([passed]),
            **({} if wrong("no cache") else {CACHE: cache}),
            **more,
        )
        own, drafts = out.logits[0].argmax(-1).tolist(), drafts[1:]
        n = 0
        while n < len(drafts) and drafts[n] == own[n] and not wrong("never accepted"):
            n += 1
        n = min(n, 1) if wrong("stops comparing") else len(drafts) if wrong("all accepted") else n
        lost = len(drafts) - n
        crop = {"never cropped": 0, "one too few": max(0, lost - 1), "one too many": lost + 1}
        cache.crop(-crop.get(fault, lost))
        new = [*drafts[:n], own[-1 if wrong("last row") else n]]
        new = drafts[:n] if wrong("no own token") and n else new
        kept = new


def test_right(pair, capsys):
    import time

    t = time.time()
    checks.greedy_loop(loop, pair)
    print(time.time() - t)
    checks.greedy_loop(
        lambda p, ids, g, n: speculative_generate(p, ids, gamma=g, max_new_tokens=n).token_ids, pair
    )
    checks.greedy_loop(loop, tiny_pair())
    checks.greedy_loop(loop, tiny_pair(Shape(centroids=0, shared_layers=0)))
    checks.greedy_loop(
        lambda p, ids, g, n: speculative_generate(p, ids, gamma=g, max_new_tokens=n).token_ids,
        tiny_pair(),
    )
    with capsys.disabled():
        print(capsys.readouterr().out)


FAULTS = [
    "first row",
    "prompt returned",
    "prefill token forgotten",
    "endless",
    "eos late",
    "limit overrun",
    "tensor",
    "wrong row",
    "stale kv",
    "no drafter",
    "moving position",
    "same embedding",
    "state not fed back",
    "worst draft",
    "newest not fed",
    "no cache",
    "never accepted",
    "stops comparing",
    "all accepted",
    "never cropped",
    "one too few",
    "one too many",
    "last row",
    "no own token",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong(fault, pair, capsys):
    checks.greedy_loop(lambda *given: loop(*given, fault), pair)
    with capsys.disabled():
        print(fault, "=>", capsys.readouterr().out)
