"""Loading pairs: names, folders, devices, and errors that say what to do."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from gemma_mtp_edu import ModelPair, load_pair, model_ids
from gemma_mtp_edu.models import room, weights
from gemma_mtp_edu.models.bundled import DamagedPairError, bundled_folder
from gemma_mtp_edu.models.compatibility import IncompatiblePairError
from gemma_mtp_edu.models.pairs import PairNotFoundError, choose_dtype, configured_eos_ids
from gemma_mtp_edu.models.releases import UnsupportedReleaseError


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


def test_the_default_is_fp32_on_cpu(pair: ModelPair) -> None:
    assert pair.name == "pocket"
    assert pair.target.dtype == pair.drafter.dtype == torch.float32


def test_dtype_can_be_given() -> None:
    pair = load_pair("pocket", device="cpu", dtype="bfloat16")
    assert pair.target.dtype == pair.drafter.dtype == torch.bfloat16
    with pytest.raises(ValueError, match="got dtype 'int4'"):
        load_pair("pocket", dtype="int4")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), torch.float16), ((8, 0), torch.bfloat16)]
)
def test_bf16_needs_compute_capability_8(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert choose_dtype(torch.device("cuda")) == expected
    assert choose_dtype(torch.device("cpu")) == torch.float32


def test_a_folder_with_both_models_loads(tmp_path: Path) -> None:
    shutil.copytree(bundled_folder(), tmp_path / "mine")
    pair = load_pair(tmp_path / "mine")
    assert pair.name == "mine"


def test_a_target_folder_finds_the_drafter_beside_it(tmp_path: Path) -> None:
    shutil.copytree(bundled_folder() / "target", tmp_path / "m")
    shutil.copytree(bundled_folder() / "drafter", tmp_path / "m-assistant")
    assert model_ids(tmp_path / "m") == (str(tmp_path / "m"), str(tmp_path / "m-assistant"))
    assert load_pair(str(tmp_path / "m")).name == "m"


def test_registered_names_give_hub_ids() -> None:
    assert model_ids("e2b") == ("google/gemma-4-E2B-it", "google/gemma-4-E2B-it-assistant")


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
    return asked


GPU = {"": torch.device("cuda:0")}
CPU = {"": torch.device("cpu")}  # where the target's embedding lies after the pretended loading


@pytest.mark.parametrize(("free", "expected"), [(10**9, [GPU, CPU]), (12_000_000, ["auto", CPU])])
def test_of_two_gpus_one_is_taken_where_the_pair_fits(
    places: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, expected: object
) -> None:
    shutil.copytree(bundled_folder(), tmp_path / "mine")
    monkeypatch.setattr(room, "free_memory", lambda device: free)
    if expected == [GPU, CPU]:
        load_pair(tmp_path / "mine")
    else:
        with pytest.warns(UserWarning, match="parts go to other memory"):
            load_pair(tmp_path / "mine")
    assert places == expected


def test_the_bundled_pair_takes_one_gpu_or_the_one_that_is_named(places: list[Any]) -> None:
    load_pair()
    load_pair(device="cuda:1")
    assert places == [GPU, CPU, {"": torch.device("cuda:1")}, CPU]


def test_a_processor_that_needs_a_library_gives_way_to_the_tokenizer(
    pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> None:
        raise ImportError("Gemma4VideoProcessor requires the Torchvision library")

    monkeypatch.setattr(weights.AutoProcessor, "from_pretrained", load)
    with pytest.warns(UserWarning, match="a tokenizer only.*requires the Torchvision library"):
        loaded = load_pair()
    assert torch.equal(loaded.encode("Hello"), pair.encode("Hello"))
    monkeypatch.setattr(weights.AutoTokenizer, "from_pretrained", load)
    monkeypatch.setattr(
        "gemma_mtp_edu.models.pairs.get_models", lambda *_: pytest.fail("loaded first")
    )
    with pytest.raises(DamagedPairError, match="Install that library, then start Python again"):
        load_pair()


@pytest.mark.parametrize(
    ("drafter", "expected"),
    [("E4B", "google/gemma-4-E4B-it-assistant"), ("someone/drafter", "someone/drafter"),
     ("pocket", str(bundled_folder() / "drafter"))],
)  # fmt: skip
def test_a_registered_name_as_drafter_means_its_drafter(
    monkeypatch: pytest.MonkeyPatch, drafter: str, expected: str
) -> None:
    asked: list[str] = []

    def get_config(source: str) -> None:
        asked.append(source)
        if len(asked) == 2:
            raise PairNotFoundError

    monkeypatch.setattr("gemma_mtp_edu.models.pairs.get_config", get_config)
    with pytest.raises(PairNotFoundError):
        load_pair("E2B", drafter)
    assert asked == ["google/gemma-4-E2B-it", expected]


def test_a_path_is_never_a_registered_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(bundled_folder(), tmp_path / "pocket")
    monkeypatch.chdir(tmp_path)
    assert model_ids(Path("pocket"))[0] == str(tmp_path / "pocket/target")
    assert model_ids("pocket")[0] == str(bundled_folder() / "target")


def test_a_pair_s_name_is_a_text(pair: ModelPair) -> None:
    with pytest.raises(ValueError, match="got None as name, need a text"):
        ModelPair(pair.target, pair.drafter, pair.processor, None)  # type: ignore[arg-type]


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(PairNotFoundError, match="did you mean 'pocket'"):
        load_pair("pokcet")


def test_without_network_the_error_names_the_id_and_both_ways_out() -> None:
    with pytest.raises(PairNotFoundError) as raised:
        load_pair("E2B")
    message = str(raised.value)
    assert "google/gemma-4-E2B-it" in message
    assert "go online" in message
    assert "load_pair('pocket')" in message


def test_a_folder_without_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(PairNotFoundError, match=r"needs config\.json"):
        load_pair(tmp_path, drafter=tmp_path)


def test_swapped_models_are_refused(pair: ModelPair) -> None:
    with pytest.raises(IncompatiblePairError, match="is a drafter"):
        ModelPair(pair.drafter, pair.target, pair.processor)


def test_another_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers, "__version__", "5.23.0")
    with pytest.raises(UnsupportedReleaseError, match=r"got transformers 5\.23\.0"):
        load_pair()


def test_loading_leaves_the_library_s_progress_setting(pair: ModelPair) -> None:
    before = transformers_logging.is_progress_bar_enabled()
    load_pair()
    assert transformers_logging.is_progress_bar_enabled() == before


def test_text_goes_through_the_chat_template(pair: ModelPair) -> None:
    ids = pair.encode("Hello")
    text = pair.decode(ids[0], skip_special_tokens=False)
    assert text == "<bos><|turn>user\nHello<turn|>\n<|turn>model\n"
    assert torch.equal(pair.encode(ids), ids)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("  ", "empty prompt"),
        (torch.zeros(2, 3, dtype=torch.long), r"shape \(2, 3\)"),
        (torch.zeros(1, 0, dtype=torch.long), r"shape \(1, 0\)"),
        (torch.zeros(1, 3), "float32"),
    ],
)
def test_bad_prompts_are_refused(pair: ModelPair, prompt: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pair.encode(prompt)  # type: ignore[arg-type]


def test_text_needs_a_processor(pair: ModelPair) -> None:
    bare = ModelPair(pair.target, pair.drafter)
    with pytest.raises(ValueError, match="no processor"):
        bare.encode("Hello")


def test_end_marks_of_any_whole_kind() -> None:
    for given, wanted in (
        (5, {5}), ([5, np.int64(6)], {5, 6}), (np.int32(7), {7}), (-1, set()), (None, set()),
    ):  # fmt: skip
        assert configured_eos_ids(SimpleNamespace(eos_token_id=given)) == wanted
    for wrong in ("x", [None], 1.0, -2):
        with pytest.raises(ValueError, match="got eos_token_id"):
            configured_eos_ids(SimpleNamespace(eos_token_id=wrong))
