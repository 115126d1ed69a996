"""Damaged folders, and pairs that do not fit in memory or on the disk: said before they run."""

import errno
import json
import shutil
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, LlamaConfig

from gemma_mtp_edu import load_pair, model_ids
from gemma_mtp_edu.models import registry, room, weights
from gemma_mtp_edu.models.bundled import DamagedPairError, bundled_folder
from gemma_mtp_edu.models.compatibility import IncompatiblePairError, check_pair
from gemma_mtp_edu.models.memory_plan import memory_plan
from gemma_mtp_edu.models.room import (
    NoDiskSpaceError,
    NotEnoughMemoryError,
    check_disk,
    check_memory,
)
from gemma_mtp_edu.models.weights import PairNotFoundError

Change = Callable[[Path], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pair of one's own: a copy without the manifest that compares it with the bundled one."""
    ignored = shutil.ignore_patterns("manifest.json")
    return Path(shutil.copytree(bundled_folder(), tmp_path / "mine", ignore=ignored))


def cut(name: str, keep: float) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    return change


def tensors(name: str, change: Callable[[dict[str, torch.Tensor]], Any]) -> Change:
    def changed(folder: Path) -> None:
        held = load_file(folder / name)
        change(held)
        save_file(held, folder / name, metadata={"format": "pt"})

    return changed


def shorten(held: dict[str, torch.Tensor]) -> None:
    name = next(name for name in held if name.endswith("down_proj.weight"))
    held[name] = held[name][:-1].contiguous()


def unknown_type(folder: Path) -> None:
    path = folder / "target/config.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"model_type": "nosuch"}))


DAMAGE: dict[str, tuple[Change, type[Exception], str]] = {
    "half": (cut("target/model.safetensors", 0.5), DamagedPairError, "cut off or altered"),
    "drafter half": (cut("drafter/model.safetensors", 0.5), DamagedPairError, "drafter is cut off"),
    "empty": (cut("target/model.safetensors", 0), DamagedPairError, "download it again"),
    "garbage": (
        lambda folder: (folder / "drafter/model.safetensors").write_bytes(b"x" * 1000),
        DamagedPairError, "cut off or altered",
    ),
    "a tensor less": (
        tensors("drafter/model.safetensors", lambda held: held.pop(sorted(held)[0])),
        DamagedPairError, r"lack 1 tensors, such as \w+",
    ),
    "another shape": (
        tensors("drafter/model.safetensors", shorten), DamagedPairError, "Its files are altered",
    ),
    "config cut": (cut("target/config.json", 0.5), DamagedPairError, r"config\.json in .* cut off"),
    "settings cut": (
        cut("drafter/generation_config.json", 0.5), DamagedPairError, "generation_config",
    ),
    "tokenizer cut": (cut("target/tokenizer.json", 0.5), DamagedPairError, "cannot load"),
    "another type": (unknown_type, DamagedPairError, "nosuch"),
    "no config": (
        lambda folder: (folder / "target/config.json").unlink(),
        PairNotFoundError, r"no config\.json in it",
    ),
    "no weights": (
        lambda folder: (folder / "target/model.safetensors").unlink(),
        PairNotFoundError, "safetensors weights",
    ),
    "no drafter": (
        lambda folder: shutil.rmtree(folder / "drafter"), PairNotFoundError, "drafter",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_folders_are_refused(folder: Path, damage: str) -> None:
    change, error, message = DAMAGE[damage]
    change(folder)
    with pytest.raises(error, match=message):
        load_pair(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": ""}, "got '' as target, need a registered name"),
        ({"target": None}, "got None as target"),
        ({"target": 5}, "got 5 as target"),
        ({"drafter": 5}, "got 5 as drafter"),
        ({"drafter": False}, "got False as drafter"),
        ({"drafter": 0}, "got 0 as drafter"),
        ({"drafter": ""}, "got '' as drafter"),
        ({"device": "gpu"}, "got device 'gpu', need 'auto'"),
        ({"device": None}, "got device None"),
        ({"device": "cuda:99"}, "got device 'cuda:99', but torch sees"),
        ({"device": "xpu"}, "got device 'xpu', need 'auto'"),
        ({"device": "meta"}, "got device 'meta', need 'auto'"),
        ({"dtype": torch.float8_e4m3fn}, r"got dtype torch\.float8_e4m3fn"),
        ({"dtype": "int8"}, "got dtype 'int8'"),
        ({"dtype": torch.int64}, "got dtype torch.int64"),
        ({"dtype": None}, "got dtype None"),
    ],
)
def test_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_pair(**arguments)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("a/b/c", "no pair, folder or hub id"),
        ("/nowhere/at/all", "no pair, folder or hub id"),
        ("~nosuchuser/model", "no pair, folder or hub id"),
        (Path("pocket"), "did you mean 'pocket'"),
        ("x" * 5000, r"x{80}\.\.\.'"),
        ("https://huggingface.co/google/gemma-4-E2B-it", "did you mean 'google/gemma-4-E2B-it'"),
        ("google/gemma-4-E2B-i", "Did you mean 'google/gemma-4-E2B-it'"),
    ],
)
def test_what_is_nowhere_is_said_so(target: str | Path, message: str) -> None:
    with pytest.raises(PairNotFoundError, match=message):
        load_pair(target)


@pytest.mark.parametrize("drafter", ["./nonexisting", "~nosuchuser/drafter", Path("nonexisting")])
def test_a_drafter_s_folder_that_is_nowhere_is_not_asked_of_the_hub(drafter: str | Path) -> None:
    with pytest.raises(PairNotFoundError, match="no pair, folder or hub id"):
        load_pair(drafter=drafter)


def test_an_mps_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="got device 'mps', but torch sees 0 of that kind here"):
        load_pair(device="mps")


def test_an_altered_copy_of_the_bundled_pair_is_refused(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundled_folder(), tmp_path / "mine"))
    path = copy / "target/model.safetensors"
    held = bytearray(path.read_bytes())
    held[-1000] ^= 1
    path.write_bytes(held)
    with pytest.raises(DamagedPairError, match=r"target/model\.safetensors has sha256"):
        load_pair(copy)


def test_another_tokenizer_is_refused(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / "target" / name, folder / "drafter" / name)
    assert load_pair(folder).name == "mine"
    path = folder / "drafter/tokenizer.json"
    record = json.loads(path.read_text())
    vocabulary = record["model"]["vocab"]
    one, other = list(vocabulary)[600:602]
    vocabulary[one], vocabulary[other] = vocabulary[other], vocabulary[one]
    path.write_text(json.dumps(record))
    with pytest.raises(IncompatiblePairError, match="tokenizer differs from the target's in 2 tok"):
        load_pair(folder)
    with pytest.raises(IncompatiblePairError, match="tokenizer differs from the target's in 2 tok"):
        load_pair("pocket", folder / "drafter")


@pytest.mark.parametrize("config", [LlamaConfig(vocab_size=2048), GPT2Config(vocab_size=2048)])
def test_other_targets_are_no_home_for_an_mtp_drafter(config: Any) -> None:
    drafter = weights.get_config(str(bundled_folder() / "drafter"))
    config.hidden_size = drafter.backbone_hidden_size
    with pytest.raises(IncompatiblePairError, match="use a Gemma 4 target"):
        check_pair(config, drafter)


CPU = torch.device("cpu")


def test_a_pair_that_does_not_fit_is_refused_before_it_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_memory", lambda device: 10_000_000)
    monkeypatch.setattr(weights, "get_models", lambda *a: pytest.fail("it was loaded"))
    monkeypatch.setattr(
        "gemma_mtp_edu.models.pairs.get_models", lambda *a: pytest.fail("it was loaded")
    )
    with pytest.raises(NotEnoughMemoryError) as raised:
        load_pair(folder)
    message = str(raised.value)
    assert "mine in float32 needs" in message and "does not fit in 0.01 GB" in message
    assert "dtype='bfloat16'" in message and "load_pair('pocket')" in message


def test_a_registered_pair_is_judged_by_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = memory_plan("E2B", "float16", 256)
    configs = (None, None)
    weight_bytes = plan.target_bytes + plan.drafter_bytes
    for free, expected in ((plan.total_bytes, None), (weight_bytes, "warns"), (10**9, "raises")):
        monkeypatch.setattr(room, "free_memory", lambda device, free=free: free)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if expected == "raises":
                with pytest.raises(NotEnoughMemoryError, match=r"E2B in float16 needs 13\.0 GB"):
                    check_memory("E2B", configs, CPU, torch.float16)
            else:
                check_memory("E2B", configs, CPU, torch.float16)
        assert [w for w in caught if "long texts may fail" in str(w.message)] == (
            caught if expected == "warns" else []
        )
        assert bool(caught) == (expected == "warns")


def test_a_large_drafter_of_one_s_own_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pair's target beside a drafter larger than what is free."""
    own = AutoConfig.from_pretrained(model_ids()[1])
    own.text_config.intermediate_size = 10**7
    own.save_pretrained(tmp_path)
    monkeypatch.setattr(room, "free_memory", lambda device: 10**9)
    monkeypatch.setattr(
        "gemma_mtp_edu.models.pairs.get_models", lambda *a: pytest.fail("it was loaded")
    )
    with pytest.raises(NotEnoughMemoryError, match=r"pocket in float32 needs .*drafter \d\d"):
        load_pair("pocket", tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_that_runs_out_on_the_way_frees_what_was_loaded(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    original, loaded = AutoModelForCausalLM.from_pretrained, []

    def load(source: str, **kwargs: Any) -> Any:
        if source.endswith("drafter"):
            raise error
        model, found = original(source, **kwargs)
        loaded.append(weakref.ref(model))
        return model, found

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", load)
    with pytest.raises(NotEnoughMemoryError, match="all of it is free again") as raised:
        load_pair()
    assert raised.value is not None
    assert [model() for model in loaded] == [None], "also while the error is looked at"


def test_a_full_disk_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise OSError("Can't load the configuration") from error

    monkeypatch.setattr(weights.AutoConfig, "from_pretrained", full)
    with pytest.raises(NoDiskSpaceError, match=r"room of 13\.0 GB; free some, or set HF_HOME"):
        load_pair("E2B")


E2B = (registry.PAIRS["E2B"].target_id, registry.PAIRS["E2B"].drafter_id)


def test_a_download_that_does_not_fit_is_refused_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(room, "hub_cache", lambda: tmp_path)
    monkeypatch.setattr("gemma_mtp_edu.models.hub_cache.hub_cache", lambda: tmp_path)
    monkeypatch.setattr(room, "free_disk", lambda: 10**10)
    with pytest.raises(NoDiskSpaceError, match=r"10\.4 GB are to be downloaded, 10\.0 GB are free"):
        check_disk("E2B", (None, None), E2B)
    # What is there already, also of a download that was cut off, needs no room.
    blobs = tmp_path / f"models--{E2B[0].replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    with (blobs / "0123.incomplete").open("wb") as file:
        file.truncate(10**9)  # takes no room itself
    check_disk("E2B", (None, None), E2B)


def test_folders_need_no_room_on_the_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(room, "free_disk", lambda: 0)
    assert load_pair(folder).drafter is not None
