"""Loading pairs: names, folders, devices, and errors that say what to do, before anything runs."""

import builtins
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from pkgutil import resolve_name
from threading import Thread
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import huggingface_hub
import pytest
import torch
from safetensors.torch import load, save_file
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, LlamaConfig
from transformers.utils import logging as transformers_logging

from gemma_mtp_edu import ModelPair, load_pair, model_ids, reference_generate
from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
from gemma_mtp_edu.core.drafters import PromptLookupDrafter
from gemma_mtp_edu.models import files, memory, pairs, registry
from gemma_mtp_edu.models.compatibility import (
    IncompatiblePairError,
    UnsupportedReleaseError,
    check_pair,
)
from gemma_mtp_edu.models.files import BUNDLED, sources
from gemma_mtp_edu.models.memory import check_disk
from gemma_mtp_edu.models.pairs import choose_dtype, configured_eos_ids
from tests.cases import cases
from tests.model.tiny import prompt_ids, tiny_pair


def test_the_bundled_pair_has_the_family_s_features(pair: ModelPair) -> None:
    target, drafter = pair.target.config, pair.drafter.config
    assert type(pair.target).__name__ == "Gemma4ForCausalLM"
    assert type(pair.drafter).__name__ == "Gemma4AssistantForCausalLM"
    assert set(target.layer_types) == {"sliding_attention", "full_attention"}
    assert 0 < target.num_kv_shared_layers < target.num_hidden_layers
    assert target.hidden_size_per_layer_input > 0
    assert target.final_logit_softcapping == 30.0
    assert target.num_hidden_layers >= 7 * drafter.text_config.num_hidden_layers
    assert drafter.use_ordered_embeddings
    assert pair.drafter.generation_config.num_assistant_tokens >= 1
    assert pair.drafter.generation_config.num_assistant_tokens_schedule == "constant"
    assert not pair.target.training and not pair.drafter.training


def test_dtypes(pair: ModelPair) -> None:
    assert pair.target.dtype == pair.drafter.dtype == torch.float32
    half = load_pair("pocket", device="cpu", dtype="bfloat16")
    assert half.target.dtype == half.drafter.dtype == torch.bfloat16
    assert choose_dtype(torch.device("mps")) == torch.float16


def test_folders_with_both_models_and_side_by_side_load(folder: Path, tmp_path: Path) -> None:
    assert load_pair(folder).name == "mine"
    shutil.copytree(BUNDLED / "target", tmp_path / "m")
    shutil.copytree(BUNDLED / "drafter", tmp_path / "m-assistant")
    assert model_ids("e2b") == ("google/gemma-4-E2B-it", "google/gemma-4-E2B-it-assistant")
    assert model_ids(tmp_path / "m") == (str(tmp_path / "m"), str(tmp_path / "m-assistant"))
    assert load_pair(str(tmp_path / "m")).name == "m"


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Pretend that there are two GPUs; models go to the CPU, where they go is written down."""
    asked: list[Any] = []
    original = AutoModelForCausalLM.from_pretrained

    def load(source: str, *, device_map: Any, **kwargs: Any) -> Any:
        asked.append(device_map)
        return original(source, device_map={"": "cpu"}, **kwargs)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", load)
    for name, value in {
        "is_available": True, "device_count": 2, "current_device": 0,
        "get_device_capability": (7, 5),
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    monkeypatch.setattr(
        pairs, "choose_device", lambda name: torch.device(name.replace("auto", "cuda"))
    )
    return asked


GPU = {"": torch.device("cuda")}
CPU = {"": torch.device("cpu")}  # where the target's embedding lies after the pretended loading


@pytest.mark.parametrize(("free", "expected"), [(10**9, [GPU, CPU]), (12_000_000, ["auto", CPU])])
def test_of_two_gpus_one_is_taken_where_the_pair_fits(
    places: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch, free: int, expected: object
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    monkeypatch.setattr("accelerate.utils.get_max_memory", lambda: {0: free, 1: free, "cpu": free})
    load_pair(folder)
    assert places == expected


def test_the_bundled_pair_takes_one_gpu_or_the_one_that_is_named(places: list[Any]) -> None:
    load_pair()
    load_pair(device="cuda:1")
    assert places == [GPU, CPU, {"": torch.device("cuda:1")}, CPU]


@cases
def test_a_registered_name_as_drafter_means_its_drafter(drafter: str, expected: str) -> None:
    expected = expected.replace("BUNDLED", str(BUNDLED))
    assert sources("E2B", drafter) == ("E2B", "google/gemma-4-E2B-it", expected)


def test_a_path_is_never_a_registered_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(BUNDLED, tmp_path / "pocket")
    monkeypatch.chdir(tmp_path)
    assert model_ids(Path("pocket"))[0] == str(tmp_path / "pocket/target")
    assert model_ids("pocket")[0] == str(BUNDLED / "target")


@cases
def test_what_is_nowhere_is_said_so(
    target: str, is_path: bool, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=message):
        load_pair(Path(target) if is_path else target)


def test_without_network_the_error_names_the_id_and_both_ways_out() -> None:
    said = r"'google/gemma-4-E2B-it': .* go online .*load_pair\('pocket'\)"
    with pytest.raises(FileNotFoundError, match=said):
        load_pair("E2B")


@cases
def test_what_the_hub_answered_is_told_with_its_remedy(
    status: int, headers: dict[str, str], told: str, tmp_path: Path, monkeypatch: Any
) -> None:
    def answer(self: BaseHTTPRequestHandler) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"<html>Who are you?</html>")

    methods = {"do_GET": answer, "log_message": lambda *_: None}
    own = type("Hub", (BaseHTTPRequestHandler,), methods)
    server, constants = HTTPServer(("127.0.0.1", 0), own), huggingface_hub.constants
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    try:
        with pytest.raises(FileNotFoundError, match=f"Either {told}.*, or take load_pair"):
            load_pair("some/one")
    finally:
        server.shutdown()
        huggingface_hub.close_session()  # it was made for going online


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # The library replaces its own module while it loads a model.
    monkeypatch.setattr(sys.modules["transformers"], "__version__", "5.23.0")
    with pytest.raises(UnsupportedReleaseError, match=r"got transformers 5\.23\.0"):
        load_pair()


def test_loading_leaves_the_library_s_progress_setting() -> None:
    before = transformers_logging.is_progress_bar_enabled()
    load_pair()
    assert transformers_logging.is_progress_bar_enabled() == before


def test_texts_and_conversations_go_through_the_chat_template(pair: ModelPair) -> None:
    ids = pair.encode("Hello")
    text = pair.decode(ids[0], skip_special_tokens=False)
    assert text == "<bos><|turn>user\nHello<turn|>\n<|turn>model\n"
    assert torch.equal(pair.encode(ids), ids)
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    ids = pair.encode_messages([*turns, {"role": "user", "content": "Bye"}])
    text = pair.decode(ids[0], skip_special_tokens=False)
    assert text.count("<bos>") == 1 and text.endswith("Bye<turn|>\n<|turn>model\n")
    with pytest.raises(ValueError, match="no processor"):
        ModelPair(pair.target, pair.drafter).encode("Hello")
    with pytest.raises(ValueError, match="that the model ends, need one that the user ends"):
        pair.encode_messages(turns)


def test_a_target_alone_serves_drafters_without_a_model(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED / "target", tmp_path / "mine")
    alone, prompt = load_pair(tmp_path / "mine"), "Count from 3 to 12."
    wanted = autoregressive_generate(alone, prompt).token_ids
    lookup: Any = {"drafter": PromptLookupDrafter(), "gamma": 3}
    assert speculative_generate(alone, prompt, **lookup).token_ids == wanted
    assert reference_generate(alone, prompt, assisted=False).token_ids == wanted
    for run in (speculative_generate, reference_generate):
        with pytest.raises(ValueError, match=r"got no drafter: .* pass drafter=PromptLookup"):
            run(alone, prompt)


class Lending(torch.nn.Module):
    """Has its inner model's attributes too, as what peft puts around one."""

    def __getattr__(self, name: str) -> Any:
        return self._modules.get(name) or getattr(self._modules["base_model"], name)


def test_models_in_a_wrapper_are_refused_with_the_remedy(pair: ModelPair) -> None:
    wrapper, compiled, lending = torch.nn.Sequential, torch.compile(pair.target), Lending()
    lending.base_model = compiled
    ModelPair(compiled, pair.drafter)
    for models in ((lending, pair.drafter), (pair.target, wrapper(pair.drafter))):
        with pytest.raises(IncompatiblePairError, match="merge an adapter, or pass the inner mod"):
            ModelPair(*models)


def test_adapters_inside_a_model_are_followed() -> None:
    """As peft's `add_adapter` leaves it: a layer is inside another that adds to it."""
    pair, ids = deepcopy(tiny_pair()), prompt_ids(6)
    before = autoregressive_generate(pair, ids, max_new_tokens=12)
    for attention in (layer.self_attn for layer in pair.target.model.layers):
        attention.q_proj = torch.nn.Sequential(attention.q_proj, torch.nn.Linear(32, 32))
    ways = (autoregressive_generate, speculative_generate, reference_generate)
    (text,) = {way(pair, ids, max_new_tokens=12).token_ids for way in ways}
    assert text != before.token_ids


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(5, {5}), ([5, 6], {5, 6}), (torch.tensor([1, 5]), {1, 5}), (-1, set()), (None, set())],
)
def test_end_marks_of_any_whole_kind(given: object, wanted: set[int]) -> None:
    assert configured_eos_ids(SimpleNamespace(eos_token_id=given)) == wanted


@cases
def test_damaged_folders_are_refused(
    folder: Path, how: str, path: str, error: str, message: str
) -> None:
    damaged = folder / path
    whole = damaged.read_bytes()
    damaged.unlink()
    if how == "cut":
        damaged.write_bytes(whole[: len(whole) // 2])
    elif how == "page":
        damaged.write_bytes(b"\n<!doctype html><title>Log in</title>")
    elif how == "lessen":
        held = load(whole)
        held.pop(min(held))
        save_file(held, damaged, metadata={"format": "pt"})
    with pytest.raises(getattr(builtins, error), match=message):
        load_pair(folder)


@pytest.mark.parametrize("config", [LlamaConfig(vocab_size=2048), GPT2Config(vocab_size=2048)])
def test_other_targets_are_no_home_for_an_mtp_drafter(config: Any) -> None:
    drafter = AutoConfig.from_pretrained(BUNDLED / "drafter")
    config.hidden_size = drafter.backbone_hidden_size
    with pytest.raises(IncompatiblePairError, match="use a Gemma 4 target"):
        check_pair(config, drafter)


def test_a_caller_s_default_device_is_not_ours(pair: ModelPair) -> None:
    with torch.device("meta"):
        loaded = load_pair()
    assert {p.device.type for m in (loaded.target, loaded.drafter) for p in m.parameters()} == {
        "cpu"
    }
    runs = (speculative_generate(p, "Count from 3 to 5.") for p in (pair, loaded))
    assert len({run.token_ids for run in runs}) == 1


@cases
def test_what_python_was_started_with_is_named(
    options: list[str], variables: dict[str, str], told: str, folder: Path
) -> None:
    """Where the files are whole, they are not blamed."""
    named = folder.rename(folder.with_name("дом"))
    code = "import sys, gemma_mtp_edu; gemma_mtp_edu.load_pair(sys.argv[1])"
    command = [sys.executable, *options, "-c", code, str(named)]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True)
    assert done.returncode == 1 and told in done.stderr.decode(errors="replace").splitlines()[-1]


def test_the_bundled_pair_takes_one_thread_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = Mock()
    monkeypatch.setattr(torch, "set_num_threads", chosen)
    load_pair()
    chosen.assert_not_called()  # OMP_NUM_THREADS has chosen
    monkeypatch.delenv("OMP_NUM_THREADS")
    load_pair()
    chosen.assert_called_once_with(1)


def test_bytes_of_a_character_are_told_as_such(pair: ModelPair) -> None:
    """Of a tokenizer that writes bytes as letters, as ours does, or as <0xE7>, as Gemma's."""
    ids = pair.tokenizer("狐", add_special_tokens=False)["input_ids"]
    assert "".join(pair.token_texts(ids)[i] for i in ids).lstrip() == "<0xE7><0x8B><0x90>"
    tokenizer = SimpleNamespace(
        decode=lambda ids, **_: "\ufffd", convert_ids_to_tokens={3: "<0xE7>", 4: "\ufffd"}.get
    )
    gemma = ModelPair(pair.target, pair.drafter, tokenizer)
    assert gemma.token_texts([3, 4]) == {3: "<0xE7>", 4: "\ufffd"}


# Memory and disk, before anything is loaded or downloaded; the hub's cache.


def test_a_pair_that_does_not_fit_is_refused_before_it_is_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "load_model", lambda *_: pytest.fail("it was loaded"))
    monkeypatch.setattr(memory, "free_memory", lambda device: 10_000_000)
    said = r"mine needs 0\.02 GB .* torch\.float32, 0\.01 GB are free: .*dtype='bfloat16'"
    with pytest.raises(MemoryError, match=said):
        load_pair(folder)
    # The pair's target beside a drafter larger than what is free.
    own = AutoConfig.from_pretrained(model_ids()[1])
    own.text_config.intermediate_size = 10**7
    own.save_pretrained(tmp_path / "own")
    monkeypatch.setattr(memory, "free_memory", lambda device: 10**9)
    with pytest.raises(MemoryError, match=r"pocket needs \d\d"):
        load_pair("pocket", tmp_path / "own")


def test_a_cached_pair_loads_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for part, repo in (("target", "some--one"), ("drafter", "some--one-assistant")):
        shutil.copytree(BUNDLED / part, tmp_path / f"models--{repo}/snapshots/abc")
        (tmp_path / f"models--{repo}/refs").mkdir()
        (tmp_path / f"models--{repo}/refs/main").write_text("abc")
    assert load_pair("some/one").name == "some/one"


E2B = (registry.PAIRS["E2B"].target_id, registry.PAIRS["E2B"].drafter_id)


def test_a_download_that_does_not_fit_is_refused_before_it(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    def plan(repo_id: str, *, allow_patterns: list[str], dry_run: bool) -> list[SimpleNamespace]:
        assert dry_run and allow_patterns == ["model*.safetensors"]
        here = repo_id == E2B[1]
        return [SimpleNamespace(file_size=6 * 10**9, will_download=not here)] * 2

    def usage(free: int) -> None:
        disk = SimpleNamespace(free=free)
        monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: disk)

    usage(0)
    check_disk(E2B, files.WEIGHTS)  # not to be reached: the download itself says so
    monkeypatch.setattr(huggingface_hub, "snapshot_download", plan)
    usage(10**10)
    with pytest.raises(OSError, match=r"12\.0 GB are to be downloaded, 10\.0 GB are free"):
        check_disk(E2B, files.WEIGHTS)
    usage(12 * 10**9)
    check_disk(E2B, files.WEIGHTS)
    usage(0)
    check_disk([str(folder)], files.WEIGHTS)


@cases
def test_memory_that_runs_out_on_the_way_is_named(
    monkeypatch: pytest.MonkeyPatch, kind: str, text: str
) -> None:
    loading = Mock(side_effect=resolve_name(kind)(text))
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", loading)
    with pytest.raises(MemoryError, match=r"cannot load .*target: "):
        load_pair()
