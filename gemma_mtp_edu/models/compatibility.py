"""Which transformers release can run a Gemma 4 drafter, and whether two models fit together.

Nothing heavy is imported on top: some releases fail while they load, and must be refused, too.
Measured with small pairs: before 5.8 the drafter class is absent; 5.8 to 5.17 hand the first draft
the wrong hidden state (transformers#48703), 5.12.1 and 5.13.1 crash past the sliding window
(transformers#46629); 5.18, 5.19 raise TypeError on assisted calls; 5.23.0 constructs no drafter.
A release newer than the tested ones is tried once, on a tiny pair.
"""

import importlib.metadata
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

OLDEST, NEWEST = Version("5.20.2"), Version("5.24.0")  # that the tests ran on
REQUIREMENT = f"transformers>={OLDEST},!=5.23.*"
KV_TYPES = ("full_attention", "sliding_attention")


class UnsupportedReleaseError(ImportError):
    """The installed transformers release cannot run a Gemma 4 drafter."""


class IncompatiblePairError(ValueError):
    """Target and drafter do not fit together."""


def check_transformers(version: str | None = None) -> str:
    """Return a transformers release, by default the one here; raise where it is known as broken."""
    # The one that is loaded, or else installed; it is not loaded for that.
    version = version or getattr(sys.modules.get("transformers"), "__version__", None)
    version = version or importlib.metadata.version("transformers")
    # Development builds of a release count as that release: 5.23.0.dev0 has 5.23's fault.
    if not Requirement(REQUIREMENT).specifier.contains(Version(version).base_version):
        got = f"got transformers {version}, which cannot run a Gemma 4 drafter, or runs it wrongly"
        how = f'run  pip install "{REQUIREMENT}"  and restart Python'
        raise UnsupportedReleaseError(f"{got}: {how}")
    return version


def check_release() -> bool:
    """Return whether the release here is newer than the tested ones; raise where it fails."""
    version = check_transformers()
    if Version(Version(version).base_version) <= NEWEST:
        return False
    key = f"transformers {version}, torch {importlib.metadata.version('torch')}"
    home, passed = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", list[str]()
    file = Path(home, "gemma_mtp_edu", "passed.json")
    with suppress(OSError, TypeError, ValueError):
        passed = list(json.loads(file.read_text(encoding="utf-8")))
    if key not in passed:
        if fault := _fault():
            newer = f"transformers {version} is newer than {NEWEST}, the newest that was tested"
            how = f'run  pip install "transformers=={NEWEST}"  and restart Python'
            rest = "what needs no model still runs: saved traces and profiles, replay, widgets"
            raise UnsupportedReleaseError(f"{newer}, and fails in {fault}: {how}; {rest}")
        with suppress(OSError):  # what passed is not tried again; what fails is
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps([*passed, key]), encoding="utf-8")
    return True


def _fault() -> str:
    """Return which part fails on a tiny random pair, and how; nothing where all hold."""
    import torch
    import transformers as hf

    from gemma_mtp_edu.core.decoding import Run, decode_plainly, speculate
    from gemma_mtp_edu.core.drafters import MTPDrafter, ScriptedDrafter
    from gemma_mtp_edu.core.sampling import Settings
    from gemma_mtp_edu.core.schedules import Constant
    from gemma_mtp_edu.core.target import ALL_ROWS, CachedModel

    part, same = "building a drafter", torch.testing.assert_close
    try:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"), torch.inference_mode():
            torch.manual_seed(0)
            shapes = json.loads((Path(__file__).parents[1] / "data/tiny.json").read_text("utf-8"))
            model = hf.Gemma4ForCausalLM(hf.Gemma4TextConfig(**shapes["target"])).float().eval()
            model.lm_head.weight.normal_(0, 0.5)  # so that the text varies
            config = hf.Gemma4AssistantConfig(**shapes["drafter"])
            assistant = hf.Gemma4AssistantForCausalLM(config).float().eval()
            assistant.masked_embedding.token_ordering.copy_(torch.randperm(64))
            mtp = MTPDrafter(assistant, model.get_input_embeddings())

            part, ids = "decoding as without drafts", torch.arange(3, 15)[None]
            plain = model.generate(ids, max_new_tokens=20, do_sample=False, pad_token_id=0)
            text = plain[0, 12:].tolist()
            # Two right drafts and a wrong one, again and again: the pair's own are seldom right.
            script = [[text[i], text[i + 1], (text[i + 2] + 1) % 64] for i in range(1, 17, 3)]
            pair = SimpleNamespace(target=model, eos_ids=())
            proposers: list[Any] = [None, ScriptedDrafter(script), mtp]
            for drafter in proposers:
                run = Run(pair, ids, Settings(max_new_tokens=20), shares_state=drafter is mtp)
                speculate(run, drafter, Constant(3)) if drafter else decode_plainly(run)
                same(run.ids, plain)

            part, at = "drafting from many positions as from each", torch.arange(1, 8)
            given = {"logits_to_keep": ALL_ROWS, "return_shared_kv_states": True}
            seen = model.base_model(plain[:, :8], use_cache=False, **given)
            shared, hidden = dict(seen.shared_kv_states), seen.last_hidden_state[:, at - 1]
            after = (torch.arange(8) >= at[:, None]).float()[None, None] * -1e30
            masks = dict.fromkeys(KV_TYPES, after)
            _, together = mtp.step(plain[:, at], hidden, at[None], shared, masks)
            for row, place in enumerate(at.tolist()):
                reader = CachedModel(model, shares_state=True)
                state = reader.state_after(reader.prefill(plain[:, :place]), 0, 0)
                mtp.start(plain[:, : place + 1], state)
                mtp.next_logits(plain[:, : place + 1])
                same(mtp.hidden[0, 0], together[0, row], atol=1e-4, rtol=0)
    except Exception as error:  # whatever a release that nobody knows may raise
        return f"{part} ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
    return ""


def is_mtp_drafter(config: Any) -> bool:
    """Return whether a configuration is that of a Gemma 4 MTP drafter."""
    return config.model_type in ("gemma4_assistant", "gemma4_unified_assistant")


def kv_layers(target: Any) -> dict[str, int]:
    """Return, per attention type, the target layer whose keys and values the drafter reads.

    It is the last one that makes its own (transformers 5.22.2, `Gemma4TextAttention`).
    """
    text = target.get_text_config()
    shared = getattr(text, "num_kv_shared_layers", 0)
    own = (getattr(text, "layer_types", None) or [])[: text.num_hidden_layers - shared]
    if lacking := [kind for kind in KV_TYPES if kind not in own]:
        told = f"the target ({target.model_type}) has no {lacking[0]} layer with KV of its own"
        raise IncompatiblePairError(f"{told}, which an MTP drafter reads: use a Gemma 4 target")
    return {kind: len(own) - 1 - own[::-1].index(kind) for kind in KV_TYPES}


def check_pair(target: Any, drafter: Any) -> None:
    """Raise unless a drafter can draft for a target, asked of their configurations alone."""
    if is_mtp_drafter(target):
        raise IncompatiblePairError(f"the target is a {target.model_type}, a drafter: swap them")
    text, heads = target.get_text_config(), drafter.get_text_config()
    _check_same("vocabulary", text.vocab_size, "vocabulary", heads.vocab_size)
    if not is_mtp_drafter(drafter):
        return
    width = drafter.backbone_hidden_size
    _check_same("hidden_size", text.hidden_size, "backbone_hidden_size", width)
    producers = kv_layers(target)
    for kind in dict.fromkeys(heads.layer_types):
        # The drafter attends to the target's keys and values, so heads must have one size.
        given = text.per_layer_config[producers[kind]]
        needed = heads.per_layer_config[heads.layer_types.index(kind)]
        for name in ("head_dim", "num_key_value_heads", "sliding_window"):
            told, has, needs = f"{kind} {name}", getattr(given, name), getattr(needed, name)
            _check_same(told, has, told, needs)
    centroids, searched = drafter.num_centroids, drafter.centroid_intermediate_top_k
    fits = 1 <= searched <= centroids and heads.vocab_size % centroids == 0
    if drafter.use_ordered_embeddings and not fits:
        got = f"got num_centroids {centroids} and centroid_intermediate_top_k {searched}"
        need = f"a num_centroids that divides the vocabulary of {heads.vocab_size}"
        raise IncompatiblePairError(f"{got}, need {need}, and 1 to all of them")


def _check_same(name: str, target: int, drafter_name: str, drafter: int) -> None:
    if target != drafter:
        made = "this drafter was made for another target"
        take = "take the one whose id is the target's id + '-assistant'"
        sizes = f"drafter {drafter_name} {drafter} != target {name} {target}"
        raise IncompatiblePairError(f"{sizes}: {made}; {take}")
