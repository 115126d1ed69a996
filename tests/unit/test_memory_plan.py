"""Memory plans: sizes against the library's own models, what fits where, and what is said of it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers

from gemma_mtp_edu.analysis.profile import CHUNK_BYTES
from gemma_mtp_edu.core.target import PREFILL_TOKENS
from gemma_mtp_edu.models import memory
from gemma_mtp_edu.models.files import BUNDLED
from gemma_mtp_edu.models.memory import count_parameters, memory_plan
from gemma_mtp_edu.models.registry import PAIRS, POCKET
from tests.cases import cases

T4 = int(14.56 * 2**30)  # bytes: 14.56 GiB, as torch says, are 15.6 GB
# From huggingface/transformers convert_gemma4_weights.py.
SHAPES = json.loads(Path(__file__).with_name("gemma4_shapes.json").read_text(encoding="utf-8"))
TEXTS, VISION = SHAPES["text"], SHAPES["vision"]


def target_config(name: str) -> transformers.Gemma4Config:
    edge = name in ("E2B", "E4B")
    return transformers.Gemma4Config(
        text_config=transformers.Gemma4TextConfig(**TEXTS[name]),
        vision_config=transformers.Gemma4VisionConfig(**VISION["small" if edge else "large"]),
        audio_config=transformers.Gemma4AudioConfig() if edge else None,
    )


def cache_of(text: transformers.Gemma4TextConfig) -> list[list[int | None]]:
    """Return the layers with keys and values of their own, as the registry groups them."""
    own = text.num_hidden_layers - text.num_kv_shared_layers
    groups: dict[tuple[int, int | None], int] = {}
    for kind, layer in zip(text.layer_types[:own], text.per_layer_config[:own], strict=True):
        kept = text.sliding_window if kind == "sliding_attention" else None
        shape = (layer.num_key_value_heads * layer.head_dim, kept)
        groups[shape] = groups.get(shape, 0) + 1
    return [[count, *shape] for shape, count in groups.items()]


@pytest.mark.parametrize("name", [*sorted(TEXTS), POCKET])
def test_sizes_are_those_of_the_library_s_models(name: str) -> None:
    size, folder = PAIRS[name], BUNDLED
    target: Any = transformers.Gemma4TextConfig.from_pretrained(folder / "target")
    if name == POCKET:
        drafter = transformers.Gemma4AssistantConfig.from_pretrained(folder / "drafter")
        assert count_parameters(drafter) == size.drafter
    else:
        target = target_config(name)
    text = target.get_text_config()
    widest = text.intermediate_size * (1 + bool(text.use_double_wide_mlp))
    if text.enable_moe_block:
        widest += text.top_k_experts * text.moe_intermediate_size
    counted = (count_parameters(target), cache_of(text), widest, text.vocab_size)
    assert counted == (size.target, size.cache, size.widest, size.vocabulary)


def test_cache_is_what_the_library_allocates() -> None:
    text = transformers.Gemma4TextConfig.from_pretrained(BUNDLED / "target")
    cache = transformers.DynamicCache(config=text)
    for index, kind in enumerate(text.layer_types[:15]):
        layer = text.per_layer_config[index]
        for step in (64, 36):  # a sliding layer keeps what its window reaches of all of them
            shape = (1, layer.num_key_value_heads, step, layer.head_dim)
            cache.update(torch.zeros(shape), torch.zeros(shape), index)
        assert kind in ("sliding_attention", "full_attention")
    kept = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers[:15])
    planned = memory_plan(POCKET, "float32", 100).parts["cache"] // 4
    # The library keeps window - 1 tokens between passes.
    assert planned - kept == 2 * 12 * 32


def test_parts_are_weights_cache_and_room() -> None:
    plan = memory_plan("31B", "bfloat16", 4096)
    assert plan.parts["target"] == 2 * PAIRS["31B"].target
    assert plan.parts["drafter"] == 2 * 500_000_000
    assert plan.parts["cache"] == 2 * 2 * (50 * 4096 * 1024 + 10 * 2048 * 4096)
    shorter = memory_plan("31B", "bfloat16", 2048)
    # A chunk's mask has a row for each of its tokens, a byte for each token of the context.
    more = plan.parts["activations"] - shorter.parts["activations"]
    assert more == PREFILL_TOKENS * 2048
    assert plan.parts["activations"] > CHUNK_BYTES + PREFILL_TOKENS * (2 * 3 * 21504 + 4096)
    assert plan.total_bytes == sum(plan.parts.values())


def test_a_dtype_scales_weights_and_a_longer_context_the_cache() -> None:
    half, whole = (memory_plan("E2B", dtype) for dtype in ("float16", torch.float32))
    assert (whole.parts["target"], whole.dtype) == (2 * half.parts["target"], "float32")
    longer = memory_plan("google/gemma-4-E2B-it", "float16", 131_072)
    # Beyond the window only the three full-attention layers grow.
    assert longer.parts["cache"] - half.parts["cache"] == 2 * 2 * 3 * 512 * (131_072 - 2048)
    # A prompt that is read in one pass would need 9.7 GB for the widest layer, 17 GB for the mask.
    assert longer.parts["activations"] < 10**9
    assert longer.fits(T4) and not whole.fits(T4)
    assert not memory_plan("E4B", "float16").fits(T4)


def test_an_unknown_pair_is_named() -> None:
    with pytest.raises(ValueError, match="need one of pocket, E2B"):
        memory_plan("E3B")


@pytest.mark.parametrize(("limit", "room"), [("2000\n", 1500), ("400\n", 0), ("max\n", 10**6)])
def test_container_room(
    limit: str, room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    here = SimpleNamespace(available=10**6)
    monkeypatch.setattr("psutil.virtual_memory", lambda: here)
    assert memory.free_memory(torch.device("cpu")) == 10**6
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("500\n")
    assert memory.free_memory(torch.device("cpu")) == room


def test_all_gpus_of_a_spread_pair_count(monkeypatch: pytest.MonkeyPatch) -> None:
    reset: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda index: 10 ** (index + 1))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    memory.reset_peak_memory(torch.device("cuda", 0))
    assert (reset, memory.peak_memory(torch.device("cuda", 0))) == ([0, 1], 110)


def test_memory_of_this_machine() -> None:
    cpu = torch.device("cpu")
    assert 0 < memory.free_memory(cpu) < 1e15
    memory.reset_peak_memory(cpu)
    assert memory.peak_memory(cpu) > 50e6


@cases
def test_threads_are_those_that_can_run_at_once(
    files: dict[str, str], threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_THREADS", 8)
    assert memory.usable_threads() == threads


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process")
def test_a_process_that_is_bound_to_a_core_takes_one_thread() -> None:
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    code += "from gemma_mtp_edu.models.memory import usable_threads as n; print(n())"
    env = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert done.stdout == b"1\n"
