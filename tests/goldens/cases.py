"""Runs whose every round is stored beside this file: a change of the package must not move them.

`pocket` cases run the bundled pair, and are written again when its weights change; `tiny` ones make
Gemma 4 pairs of their own and draw the weights here, so that no other choice of weights moves them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any

import tokenizers
import torch
import transformers as hf

import gemma_mtp_edu as mtp
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.core.drafters import CausalLMDrafter, PromptLookupDrafter, ScriptedDrafter
from gemma_mtp_edu.core.target import CACHE
from tests.cases import tables
from tests.model.tiny import Shape, dense, drafter_config, generated, target_config, wrapped

PROBABILITIES = ("draft_probs", "target_probs", "overlaps")
ROUND = (
    "prefix_length", "draft_ids", "n_accepted", "next_id", "next_kind", *PROBABILITIES, "uniforms",
)  # fmt: skip
VOCAB = 32
SCHEDULES: dict[str, Any] = {f"constant {n}": mtp.Constant(n) for n in (1, 4, 9)}
SCHEDULES |= {"heuristic": mtp.Heuristic(4), "confidence": mtp.Confidence(0.4)}
SCHEDULES |= {"profile": mtp.FromProfile((0, 3, 0, 5, 2, 1))}
COST = mtp.CostModel(
    contexts=(32, 256), lengths=(1, 2, 5, 9, 17), plain_seconds=(0.010, 0.014),
    verify_seconds=((0.011, 0.0112, 0.0125, 0.016, 0.024), (0.015, 0.0153, 0.017, 0.022, 0.034)),
    drafter_seconds=(0.0012, 0.0013), other_seconds=(0.0004, 0.0005),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A run, in `cases.json`; the part of its name before the colon groups runs."""

    name: str
    pair: str  # "pocket", or what a tiny pair has
    prompt: Any  # a user's message, or the length of random token ids
    settings: Mapping[str, Any]  # of the function that is called
    run: str = "speculative"  # that function; "generate" is the library's, with our loop in it
    # Who drafts where it is not the pair: "lookup", "fixed" (a few tokens), "target" (itself),
    # "smaller" (a model), or the share of right drafts of a script.
    drafts: str | float | None = None
    end: tuple[str, int] | None = None  # "eos" or "string", taken from a place in the plain text
    grammar: bool = False  # whether only some tokens may follow each token
    turns: int = 1  # of a conversation, with one cache


def cases_of(group: str) -> list[Case]:
    """Return the runs of a group; what its settings call by name is put in."""
    named = SCHEDULES | {"no repeats": hf.LogitsProcessorList([hf.NoRepeatNGramLogitsProcessor(2)])}
    made = []
    for row in tables(__file__)[group]:
        given = row.get("settings", {}).items()
        settings = {key: named[value] if isinstance(value, str) else value for key, value in given}
        prompt = tables(__file__)["prompts"].get(row["prompt"], row["prompt"])
        made.append(Case(**row | {"settings": settings, "prompt": prompt}))
    return made


@cache
def pair_of(name: str) -> mtp.ModelPair:
    """Return the bundled pair, or a tiny one that has what its name says.

    Layers that share keys and values, a drafter's head of centroids, a mixture of experts,
    per-layer embeddings, soft-capped logits, float64, or the class that real checkpoints load as.
    """
    if name == "pocket":
        return mtp.load_pair()
    has = set(name.split())
    shape = Shape(
        vocab=VOCAB, shared_layers=2 * ("shared" in has), centroids=8 * ("centroids" in has),
        experts="experts" in has, softcap=5.0 if "capped" in has else None,
        per_layer_inputs=4 * ("perlayer" in has),
    )  # fmt: skip
    config, assistant = target_config(shape), drafter_config(shape)
    assistant.centroid_intermediate_top_k = 6
    kind = hf.Gemma4ForConditionalGeneration if "wrapped" in has else hf.Gemma4ForCausalLM
    target: Any = kind(wrapped(config) if "wrapped" in has else config)
    if "experts" in has:
        target.set_experts_implementation("eager")  # torch's grouped product takes no float64
    drafter: Any = hf.Gemma4AssistantForCausalLM(assistant)
    if "unified" in has:
        target, drafter = dense(config, assistant)
    _draw_weights(target, drafter, torch.Generator().manual_seed(len(name)))
    dtype = torch.float64 if "double" in has else torch.float32
    target.generation_config = hf.GenerationConfig(pad_token_id=0, eos_token_id=None)
    drafter.generation_config = hf.GenerationConfig(num_assistant_tokens=4, is_assistant=True)
    return mtp.ModelPair(target.to(dtype), drafter.to(dtype), _tokenizer(), name="tiny")


@torch.no_grad()
def _draw_weights(target: Any, drafter: Any, generator: torch.Generator) -> None:
    """Draw all matrices; the drafter takes over so much of the target that it is often right."""
    for model in (target, drafter):
        for _, weights in sorted(model.named_parameters()):
            if weights.dim() > 1:
                weights.copy_(torch.randn(weights.shape, generator=generator) * 0.2)
    target.get_input_embeddings().weight.mul_(4)
    target.lm_head.weight.mul_(2)  # wide logits: no two tokens are nearly equal
    drafter.lm_head.weight.copy_(target.lm_head.weight)
    drafter.pre_projection.weight.mul_(0.2)[:, :32].add_(torch.eye(32))
    if drafter.masked_embedding is not None:
        drafter.masked_embedding.token_ordering.copy_(torch.arange(VOCAB) * 7 % VOCAB)


def _tokenizer() -> hf.PreTrainedTokenizerFast:
    """Return one whose tokens are one or two letters long, so that stops straddle them."""
    words = [a + b for b in ("", *"abcdef") for a in "abcdef"][:VOCAB]
    vocabulary = {word: token for token, word in enumerate(words)}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, "a"))
    letter = tokenizers.Regex(".")
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Split(letter, "isolated")
    inner.decoder = tokenizers.decoders.Fuse()
    return hf.PreTrainedTokenizerFast(tokenizer_object=inner, clean_up_tokenization_spaces=False)


def prompt_of(pair: str, prompt: str | int) -> torch.Tensor:
    """Return a prompt's ids `[1, seq]`."""
    if isinstance(prompt, str):
        return pair_of(pair).encode(prompt)
    return torch.tensor([Random(prompt).choices(range(3, VOCAB), k=prompt)])


@cache
def plain_text(pair: str, prompt: str | int, limit: int) -> tuple[int, ...]:
    """Return the greedy text, from which scripts and ends are taken."""
    ids = prompt_of(pair, prompt)
    return mtp.autoregressive_generate(pair_of(pair), ids, max_new_tokens=limit).token_ids


def script(text: Sequence[int], schedule: Any, right: float) -> list[list[int]]:
    """Return the drafts of each round of a text, right with a probability."""
    random, rounds, last, position = Random(7), [], None, 1
    while position < len(text):
        gamma = schedule.gamma(position, last)
        known = text[position : min(position + gamma, len(text) - 1)]
        drafts = [t if random.random() < right else (t + 1) % VOCAB for t in known]
        n = [*(a == b for a, b in zip(drafts, known, strict=True)), False].index(False)
        last = SimpleNamespace(gamma=gamma, n_drafted=len(drafts), n_accepted=n)
        rounds.append(drafts)
        position += n + 1
    return rounds


def _drafter(case: Case) -> Any:
    if isinstance(case.drafts, float):
        settings = case.settings
        schedule = settings.get("schedule") or mtp.Constant(settings["gamma"])
        text = plain_text(case.pair, case.prompt, settings["max_new_tokens"])
        return ScriptedDrafter(script(text, schedule, case.drafts))
    if case.drafts == "lookup":
        return PromptLookupDrafter()
    if case.drafts == "fixed":
        return ScriptedDrafter([[5, 6], [7, 8, 9], []])
    models = {"target": case.pair, "smaller": "double" if "double" in case.pair else "capped"}
    return CausalLMDrafter(pair_of(models[case.drafts]).target) if case.drafts else None


def record(case: Case) -> dict[str, Any]:
    """Run a case and return what is stored of it."""
    if case.run == "cost":
        return cost_table()
    pair, ids, settings = pair_of(case.pair), prompt_of(case.pair, case.prompt), {**case.settings}
    if case.run == "profile":
        return _profiled(pair, ids, settings["replays"])
    words, config = pair.target.config.get_text_config().vocab_size, pair.target.generation_config
    before, (kind, place) = config.eos_token_id, case.end or ("", 0)
    text = plain_text(case.pair, case.prompt, settings["max_new_tokens"]) if kind else ()
    behind = case.run == "generate"  # the library takes the same things under other names
    if kind == "string":
        stops = [pair.decode(text)[place + 2 : place + 5]]
        criteria = [hf.StopStringCriteria(pair.tokenizer, stops)]
        settings |= {"stopping_criteria": criteria} if behind else {"stop_strings": stops}
    if case.grammar:

        def allowed(_: int, text: torch.Tensor) -> list[int]:
            last = int(text[-1])
            return [token for token in range(words) if (token + last) % 3]

        grammar = hf.LogitsProcessorList([hf.PrefixConstrainedLogitsProcessor(allowed, 1)])
        name = "prefix_allowed_tokens_fn" if behind else "logits_processor"
        settings[name] = allowed if behind else grammar
    config.eos_token_id = [text[place]] if kind == "eos" else before
    try:
        if behind:
            return _generated(pair, ids, settings, case.turns)
        if case.run == "plain":
            return _stored(mtp.autoregressive_generate(pair, ids, **settings))
        if case.run == "reference":
            return _stored(mtp.reference_generate(pair, ids, assisted=True, **settings))
        return _stored(mtp.speculative_generate(pair, ids, drafter=_drafter(case), **settings))
    finally:
        config.eos_token_id = before


def _generated(pair: Any, ids: torch.Tensor, settings: dict[str, Any], turns: int) -> Any:
    """Run the library's `generate()` with our loop, turn by turn, and return the last turn."""
    written, kept, start = ids[:, :0], None, 0
    for _ in range(turns):
        text = torch.cat([written, ids], dim=1)
        output = generated(pair, text, **{CACHE: kept, **settings})
        start, written, kept = text.shape[1], output.sequences, output[CACHE]
    return {"token_ids": written[0, start:].tolist(), "cached": kept.get_seq_length()}


def _profiled(pair: Any, ids: torch.Tensor, number: int) -> dict[str, Any]:
    """Return a profile, two schedules replayed on it, and what they cost."""
    profile = mtp.acceptance_profile(pair, ids, max_gamma=12, max_new_tokens=32)
    best, _ = mtp.best_schedule(profile, COST)
    choices = {**SCHEDULES, "confidence": mtp.Confidence(0.4, 12), "best": best}
    replays = {}
    for label in (list(choices)[1:][(number + step) % 6] for step in (0, 3)):
        cost = COST.predict_trace(replay(profile, choices[label]))
        replays[label] = _stored(replay(profile, choices[label]))
        replays[label] |= {"seconds": cost.seconds, "speedup": cost.speedup}
    names = ("n_accepted", "draft_ids", "stop_reason", "token_ids", "vocabulary")
    kept = {name: _short(getattr(profile, name), name) for name in names}
    probs = [_rounded(row) for row in profile.draft_probs]
    return {**kept, "draft_probs": probs, "best": best.lengths, "replays": replays}


def cost_table() -> dict[str, Any]:
    """Return seconds of rounds, and speedups at several rates of acceptance."""
    places = [(gamma, at) for gamma in (0, 1, 2, 4, 8, 16) for at in (None, 1, 32, 100, 256, 9000)]
    return {
        f"{gamma} drafts at {at}": [COST.plain(at), COST.round_seconds(gamma, at)]
        + [COST.predict(alpha, gamma, at) for alpha in (0.0, 0.3, 0.6, 0.9, 1.0)]
        for gamma, at in places
    }


def _stored(trace: Any) -> dict[str, Any]:
    """Return what is stored of a trace: rounds as rows, without empty ends."""
    rows = []
    for entry in trace.rounds:
        row = [_rounded(getattr(entry, name), name) for name in ROUND]
        while row[-1] == ():
            row.pop()
        rows.append(row)
    names = ("stop_reason", "token_ids", "text", "prompt_ids", "vocabulary")
    return {"rounds": rows, **{name: _short(getattr(trace, name), name) for name in names}}


def _rounded(value: Any, name: str = "draft_probs") -> Any:
    return tuple(round(prob, 6) for prob in value) if name in PROBABILITIES else value


def _short(value: Any, name: str) -> Any:
    """Return a value; of a long prompt or vocabulary its size and the digest of its sorted JSON."""
    if name not in ("prompt_ids", "vocabulary"):
        return value
    text = json.dumps(dict(value) if name == "vocabulary" else value, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return json.loads(text) if len(text) <= 160 else {"size": len(value), "sha256": digest}
