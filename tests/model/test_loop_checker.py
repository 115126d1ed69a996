"""The checker of lesson 04 calls right loops right, and names the mistake of every wrong one."""

from typing import Any

import pytest
import torch
from transformers import DynamicCache

from gemma_mtp_edu import ModelPair, autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.target import CACHE
from gemma_mtp_edu.lessons import checks, checks_loop
from gemma_mtp_edu.lessons.checking import NOT_TRIED
from tests.cases import cases
from tests.model.tiny import Shape, tiny_pair


def loop(pair: ModelPair, ids: Any, gamma: int, limit: int, fault: str = "") -> Any:
    """Write a text as lesson 04 does; `fault` names one mistake that is made."""
    more = {"output_hidden_states": True, "return_shared_kv_states": True, "use_cache": True}
    cache = DynamicCache(config=pair.target.config.get_text_config())
    out = pair.target(input_ids=ids, **{CACHE: cache}, **more)
    cache.activate_past_recording()
    own = int(out.logits[0, 0 if fault == "first row" else -1].argmax())
    n, lost, text = ids.shape[1] - 1, 0, list[int]()
    written = [] if fault == "prefill token forgotten" else [own]
    while True:
        for token in written:
            text.append(token)
            eos = token in pair.eos_ids and fault not in ("eos late", "endless")
            if eos or (len(text) == limit and fault not in ("limit overrun", "endless")):
                text = [*ids[0].tolist(), *text] if fault == "prompt returned" else text
                text = torch.tensor([text]) if fault == "tensor" else text
                return None if fault == "nothing returned" else text
        if fault == "stops early" or (fault == "limit overrun" and len(text) >= limit):
            return text
        if fault == "eos late" and pair.eos_ids & {*text}:
            return text
        kv = {
            kind: [x[:, :, : x.shape[2] - (0 if fault == "stale kv" else lost)] for x in both]
            for kind, both in out.shared_kv_states.items()
        }
        hidden, drafts = out.hidden_states[-1][:, [-1 if fault == "wrong row" else n]], [own]
        for i in range({"no drafter": 0, "one draft": 1}.get(fault, gamma)):
            at = torch.tensor([[cache.get_seq_length() + i * (fault == "moving position")]])
            fed = torch.tensor([drafts[:1] if fault == "same embedding" else drafts[-1:]])
            fed = torch.cat([pair.target.get_input_embeddings()(fed), hidden], -1)
            step = pair.drafter(inputs_embeds=fed, position_ids=at, shared_kv_states=kv)
            hidden = hidden if fault == "state not fed back" else step.last_hidden_state
            drafts.append(int(step.logits.argmin() if fault == "worst" else step.logits.argmax()))
        passed = torch.tensor([drafts[fault == "newest not fed" :]])
        used = {} if fault == "no cache" else {CACHE: cache}
        keep = {"logits_to_keep": 1} if fault == "one row" else {}
        out = pair.target(input_ids=passed, **used, **more, **keep)
        rows, drafts = out.logits[0].argmax(-1).tolist(), drafts[1:]
        held = (i for i, draft in enumerate(drafts) if draft != rows[i])
        n = {"never accepted": 0, "all accepted": len(drafts)}.get(fault, next(held, len(drafts)))
        lost, own = len(drafts) - n, rows[-1 if fault == "last row" else n]
        crop = {"never cropped": 0, "one too few": max(0, lost - 1), "one too many": lost + 1}
        cache.crop(-crop.get(fault, lost))
        own = drafts[n - 1] if fault == "no own token" and n else own
        written = [*drafts[:n], own]


def package(pair: ModelPair, ids: Any, gamma: int, limit: int) -> Any:
    return speculative_generate(pair, ids, gamma=gamma, max_new_tokens=limit).token_ids


def alone(pair: ModelPair, ids: Any, gamma: int, limit: int) -> Any:
    return autoregressive_generate(pair, ids, max_new_tokens=limit).token_ids


def raising(*given: Any) -> Any:
    try:
        return loop(*given[:3], 0, "no drafter")
    except Exception as error:  # never what the checker raises
        return error


SHAPES = None, Shape(), Shape(centroids=0, shared_layers=0)


@pytest.mark.parametrize("function", [loop, package])
@pytest.mark.parametrize("shape", SHAPES)
def test_right_loops(pair: ModelPair, shape: Any, function: Any, capsys: Any) -> None:
    checks.greedy_loop(function, tiny_pair(shape) if shape else pair)
    assert capsys.readouterr().out.startswith("Right. Target passes: ")


@cases
def test_wrong_loops(pair: ModelPair, fault: str, reply: str, capsys: Any) -> None:
    checks.greedy_loop(lambda *given: loop(*given, fault), pair)
    said = capsys.readouterr().out
    assert reply in said and "Right" not in said and ", round " in said
    # Hooks of transformers' own stay, from the first call on that asks for hidden states.
    left = [m._forward_hooks | m._forward_pre_hooks for m in pair.target.modules()]
    named = [getattr(hook, "__module__", "") for hooks in left for hook in hooks.values()]
    assert checks_loop.__name__ not in named


@pytest.mark.parametrize(
    ("function", "reply"),
    [
        (alone, "nothing was drafted"),
        (raising, "nothing was drafted"),
        (lambda *given: [7], "the target was never called"),
        (lambda *given: [][1], "IndexError: list index out of range (at `"),
        (lambda *given: None, NOT_TRIED),
    ],
)
def test_other_functions(pair: ModelPair, function: Any, reply: str, capsys: Any) -> None:
    checks.greedy_loop(function, pair)
    assert reply in capsys.readouterr().out


def test_an_unwritten_part_is_not_called_right(pair: ModelPair, capsys: Any) -> None:
    def unwritten(*given: Any) -> Any:
        loop(*given[:3], 1)
        raise NotImplementedError

    checks.first_rounds(unwritten, pair)
    checks.first_rounds(lambda *given: loop(*given, "stops early"), pair)
    checks.first_rounds(lambda *given: [], pair)
    first, second, third = capsys.readouterr().out.splitlines()
    assert (first, second) == (NOT_TRIED, "Right so far.")
    assert "never called" in third
    assert len(checks_loop.CASES) > 3
