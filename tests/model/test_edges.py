"""Further members of the classes of faults that users meet, beside those of `test_honoured.py`."""

import importlib.util
from dataclasses import asdict, replace
from typing import Any

import pytest
import transformers as hf

import gemma_mtp_edu as mtp
from gemma_mtp_edu import autoregressive_generate, speculative_generate
from gemma_mtp_edu.__main__ import main
from gemma_mtp_edu.analysis import cost
from gemma_mtp_edu.analysis.custom import draft_and_verify
from gemma_mtp_edu.core.drafters import PromptLookupDrafter
from tests.cases import cases
from tests.model.test_honoured import CAUSAL, IDS, PROMPT, SPELLED, Counting
from tests.model.tiny import KnowingDrafter, check_rounds, generated, tiny_pair

FLAT = mtp.CostModel((8,), (1, 9), (1.0,), ((1.0, 2.0),), (0.25,), (0.0,))
TINY, PENALTY = tiny_pair(), hf.RepetitionPenaltyLogitsProcessor(1.1)


@cases
def test_a_memory_is_not_asked_past_a_stop_string(place: int, more: dict[str, Any]) -> None:
    text = autoregressive_generate(SPELLED, PROMPT, logits_processor=[Counting()], **more).token_ids
    more["stop_strings"] = [SPELLED.decode(text[place : place + 2])]
    one, other = Counting(), Counting()
    plain = autoregressive_generate(SPELLED, PROMPT, logits_processor=[one], **more)
    more |= {"drafter": KnowingDrafter(PROMPT.shape[1], text, 1.0, 32), "gamma": 6}
    ours = speculative_generate(SPELLED, PROMPT, logits_processor=[other], **more)
    check_rounds(ours)
    assert ours.n_accepted and (ours.token_ids, other.seen) == (plain.token_ids, one.seen)


OWN = type("Own", (hf.LlamaForCausalLM,), {"prepare_inputs_for_generation": print})
MAMBA = hf.MambaForCausalLM(hf.MambaConfig(vocab_size=32, hidden_size=16, num_hidden_layers=1))
REFUSED: dict[str, Any] = {
    "got repetition_penalty and a processor that does it": lambda: autoregressive_generate(
        TINY, IDS, repetition_penalty=1.9, logits_processor=[PENALTY]),
    "which text and stop_strings need": lambda: speculative_generate(TINY, IDS, stop_strings="a"),
    "need at most 2: the target has 256": lambda: FLAT.calibrate(TINY, contexts=(255,)),
    "drafter=..., a model": lambda: generated(TINY, IDS, drafter=PromptLookupDrafter()),
    "got num_assistant_tokens=20": lambda: TINY.target.generate(IDS, num_assistant_tokens=20,
        custom_generate=lambda *a, **k: draft_and_verify(*a, drafter=TINY.drafter, **k)),
    "got a LlamaModel, need one": lambda: mtp.ModelPair(CAUSAL.target.model, None),
    "got a Own, need one": lambda: mtp.ModelPair(OWN(CAUSAL.target.config), None),
    "got a MambaForCausalLM, need one": lambda: mtp.ModelPair(CAUSAL.target, MAMBA),
    "got a LlamaForCausalLM as drafter, need an object": lambda: speculative_generate(
        CAUSAL, PROMPT, drafter=CAUSAL.drafter),
    "got a type as drafter, need an object": lambda: speculative_generate(
        CAUSAL, PROMPT, drafter=PromptLookupDrafter),
    "got a prompt of ndarray .* need text or integer ids": lambda: TINY.encode(IDS.numpy()),
    "need text: these bytes are no UTF-8": lambda: SPELLED.encode("Hi \udcff"),
    "need one that the user ends": lambda: SPELLED.encode_messages([]),
    "got content of type 'image', need text alone": lambda: SPELLED.encode_messages(
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "image"}]}]),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_refused_by_name_before_any_work(message: str) -> None:
    with pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_a_drafter_s_own_settings_reach_no_side(monkeypatch: pytest.MonkeyPatch) -> None:
    run = mtp.reference_generate(CAUSAL, PROMPT, gamma=5, max_new_tokens=24)
    monkeypatch.setattr(CAUSAL.drafter.generation_config, "repetition_penalty", 9.0)
    again = mtp.reference_generate(CAUSAL, PROMPT, gamma=5, max_new_tokens=24)
    assert [r.draft_ids for r in again.rounds] == [r.draft_ids for r in run.rounds]
    assert run.rounds[0].draft_ids and FLAT.predict_trace(run).plain_seconds == 24


def test_a_seed_that_is_a_tensor_and_a_module_that_was_loaded_anew() -> None:
    seeds = 3, IDS.new_tensor(3)
    one, other = (speculative_generate(TINY, IDS, temperature=1.0, seed=n) for n in seeds)
    assert one.token_ids == other.token_ids
    found: Any = importlib.util.spec_from_file_location("cost_again", cost.__file__)
    found.loader.exec_module(again := importlib.util.module_from_spec(found))
    assert cost.round_cost(again.CostModel(**asdict(FLAT)))(4) == cost.round_cost(FLAT)(4) == 2.5


def test_demo_compares_times_per_token(monkeypatch: Any, capsys: Any) -> None:
    plain = autoregressive_generate(SPELLED, PROMPT, max_new_tokens=4)
    runs = iter([plain, plain, plain, replace(plain, token_ids=plain.token_ids[:2])])
    monkeypatch.setattr(mtp, "load_pair", lambda pair: SPELLED)
    monkeypatch.setattr(mtp, "reference_generate", lambda *a, **k: next(runs))
    assert main(["demo", "--prompt", "Hi!"]) == 0
    assert ", 0.50x (" in capsys.readouterr().out


def ordinary(name: str, positions: int) -> Any:
    kinds = {"gpt2": {"n_positions": positions}, "opt": {"max_position_embeddings": positions}}
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "ffn_dim": 16,
             "word_embed_proj_dim": 16, "vocab_size": 32, "pad_token_id": 0}  # fmt: skip
    config = hf.AutoConfig.for_model(name, **sizes | kinds[name])
    return hf.AutoModelForCausalLM.from_config(config)


@cases
def test_an_ordinary_drafter_drafts_up_to_its_last_position(name: str, positions: int) -> None:
    pair = mtp.ModelPair(CAUSAL.target, ordinary(name, positions))
    plain = autoregressive_generate(pair, PROMPT, max_new_tokens=20)
    ours = speculative_generate(pair, PROMPT, gamma=4, max_new_tokens=20)
    check_rounds(ours)
    assert ours.token_ids == plain.token_ids
    for record in ours.rounds[1:]:
        room = max(0, positions + 1 - record.prefix_length)
        assert len(record.draft_ids) == min(4, room, 27 - record.prefix_length)
    text = generated(pair, PROMPT, gamma=4, max_new_tokens=20).sequences[0, PROMPT.shape[1] :]
    assert tuple(text.tolist()) == plain.token_ids


def test_a_stop_at_exactly_the_limit_is_called_one() -> None:
    text = autoregressive_generate(SPELLED, PROMPT, max_new_tokens=20).token_ids
    stop, end = [SPELLED.decode(text[8:10])], 6  # the two letters stand before that, too
    for limit, reason in ((end - 1, "length"), (end, "stop"), (end + 1, "stop")):
        settings: Any = {"max_new_tokens": limit, "stop_strings": stop}
        for run in (autoregressive_generate, speculative_generate):
            assert run(SPELLED, PROMPT, **settings).stop_reason == reason
        library = mtp.reference_generate(SPELLED, PROMPT, assisted=False, **settings)
        assert library.stop_reason == reason


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--prompt", "Hi!"]])
def test_without_standard_output_commands_run(arguments: list[str], monkeypatch: Any) -> None:
    plain = autoregressive_generate(SPELLED, PROMPT, max_new_tokens=4)
    monkeypatch.setattr(mtp, "load_pair", lambda pair: SPELLED)
    monkeypatch.setattr(mtp, "reference_generate", lambda *a, **k: plain)
    monkeypatch.setattr("sys.stdout", None)  # what `>&-` and pythonw give
    assert main(arguments) == 0
