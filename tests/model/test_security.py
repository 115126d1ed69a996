"""What others give us is data: their pickles are not read, their code is not run."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig

from gemma_mtp_edu import ModelPair, load_pair, speculative_generate
from gemma_mtp_edu.__main__ import main
from gemma_mtp_edu.models.files import BUNDLED
from gemma_mtp_edu.show.views import html_view
from gemma_mtp_edu.training.training import load_checkpoint, save_checkpoint
from tests.cases import cases, posix

TOKEN = "hf_" + "NotARealTokenButLooksLikeOne1234"


class Touch:
    """Leaves a mark wherever it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "code-was-run"


@pytest.fixture
def folder(folder: Path) -> Path:
    """A pair's folder whose target has no safetensors."""
    (folder / "target/model.safetensors").unlink()
    return folder


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_weights_in_a_pickle_are_refused_and_never_read(
    folder: Path, mark: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "target" / name
    path.write_bytes(pickle.dumps(Touch(mark)))
    with pytest.raises(ValueError, match=f"got weights in {name}, need safetensors"):
        load_pair(folder)
    torch.save({"weight": Touch(mark)}, path)
    with pytest.raises(ValueError, match=f"got weights in {name}, need safetensors"):
        load_pair(folder)
    # Where our look misses it, the library may not read it either.
    monkeypatch.setattr("gemma_mtp_edu.models.files.check_folder", lambda folder: None)
    with pytest.raises(ValueError, match="safetensors"):
        load_pair(folder)
    path.rename(folder / "target/model.safetensors")
    with pytest.raises(ValueError, match="its weights are no safetensors"):
        load_pair(folder)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Touch(mark)))
    assert mark.exists(), "the pickle works"


@pytest.mark.parametrize("shard", ["w.bin", "w.dat", "../w.safetensors", "w/w.safetensors", "ROOT"])
@pytest.mark.parametrize("with_decoy", [True, False])
def test_an_index_names_safetensors_beside_it_and_nothing_else(
    folder: Path, mark: Path, shard: str, with_decoy: bool, tmp_path: Path
) -> None:
    """The library reads a shard of any other name as a pickle, and follows it anywhere."""
    weights = load_file(BUNDLED / "target/model.safetensors")
    shard = str(tmp_path / "w.safetensors") if shard == "ROOT" else shard
    place = (folder / "target" / shard).resolve()
    place.parent.mkdir(exist_ok=True)
    if shard.endswith("safetensors"):
        save_file(weights, place, metadata={"format": "pt"})
    else:
        torch.save({**weights, "mark": Touch(mark)}, place)
    if with_decoy:
        save_file({"x": torch.ones(1)}, folder / "target/decoy.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, shard)}
    (folder / "target/model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="need safetensors"):
        load_pair(folder)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["other.safetensors.index.json", "adapter_model.bin"])
def test_a_configuration_names_no_weights(folder: Path, mark: Path, name: str) -> None:
    """The library would obey it, and read what it names as it is called."""
    weights = load_file(BUNDLED / "target/model.safetensors")
    torch.save({**weights, "mark": Touch(mark)}, folder / "target/evil.bin")
    torch.save({**weights, "mark": Touch(mark)}, folder / "target/adapter_model.bin")
    save_file({"x": torch.ones(1)}, folder / "target/decoy.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(weights, "evil.bin")}
    (folder / "target/other.safetensors.index.json").write_text(json.dumps(index))
    path = folder / "target/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"transformers_weights": name}))
    with pytest.raises(ValueError, match=f"names the weights file '/{name}'"):
        load_pair(folder)
    assert not mark.exists()


def test_weights_in_several_files_load(folder: Path) -> None:
    weights = load_file(BUNDLED / "target/model.safetensors")
    names = sorted(weights)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for shard, part in shards.items():
        metadata = {"format": "pt"}
        save_file({n: weights[n] for n in part}, folder / "target" / shard, metadata=metadata)
    index = {"metadata": {}, "weight_map": {n: s for s, part in shards.items() for n in part}}
    (folder / "target/model.safetensors.index.json").write_text(json.dumps(index))
    loaded = load_pair(folder).target.state_dict()
    assert all(torch.equal(loaded[name], weights[name]) for name in names)


@posix
def test_a_checkpoint_s_write_follows_no_link(tmp_path: Path) -> None:
    victim, inside = tmp_path / "victim", tmp_path / "training"
    victim.write_text("mine")
    inside.mkdir()
    (inside / "checkpoint.safetensors.partial").symlink_to(victim)
    save_checkpoint(inside, {"newest": {"w": torch.ones(2)}}, [], {})
    assert victim.read_text() == "mine"
    assert not (inside / "checkpoint.safetensors").is_symlink()


def test_code_that_comes_with_a_model_is_not_run_and_nobody_is_asked(
    folder: Path, mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: object) -> str:
        raise AssertionError("somebody was asked whether to run code")

    monkeypatch.setattr("builtins.input", ask)
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\nclass Config: pass\n"
    (folder / "target/evil.py").write_text(code)
    config = {"model_type": "own", "auto_map": {"AutoConfig": "evil.Config"}}
    (folder / "target/config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="needs Python code of its own"):
        load_pair(folder)
    assert not mark.exists()
    # The same folder does run its code where that is allowed, so the test could fail.
    with pytest.raises(Exception, match=r".*"):
        AutoConfig.from_pretrained(folder / "target", trust_remote_code=True)
    assert mark.exists()


@cases
@pytest.mark.parametrize("kernel", ["evil/kernel", "flash_attention_2", "paged|evil/kernel@main"])
def test_a_configuration_chooses_no_code_from_the_hub(folder: Path, key: str, kernel: str) -> None:
    path = folder / "drafter/config.json"
    record = json.loads(path.read_text())
    for value in (kernel, {"text_config": kernel}):
        path.write_text(json.dumps(record | {key: value}))
        with pytest.raises(ValueError, match=f"asks for {key} .*delete that entry"):
            load_pair(folder)


def test_a_checkpoint_is_no_pickle(tmp_path: Path, mark: Path) -> None:
    save_checkpoint(tmp_path, {"newest": {"w": torch.ones(2)}}, [], {})
    assert load_checkpoint(tmp_path, []) is not None
    (tmp_path / "checkpoint.safetensors").write_bytes(pickle.dumps(Touch(mark)))
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(tmp_path, [])
    torch.save(Touch(mark), tmp_path / "checkpoint.safetensors")
    with pytest.raises(ValueError, match="cannot be read"):
        load_checkpoint(tmp_path, [])
    assert not mark.exists()


def test_a_token_of_the_hub_is_in_no_trace(
    pair: ModelPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    trace = speculative_generate(pair, "Count from 3 to 5.", max_new_tokens=12)
    assert TOKEN not in trace.to_json() + str(trace) + html_view(trace) + repr(trace)


@pytest.mark.parametrize("known", [True, False])
def test_a_token_in_the_hub_s_own_error_is_not_passed_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], known: bool
) -> None:
    """Neither in the message, nor in the errors that a traceback would show above it."""
    import traceback

    if known:
        monkeypatch.setenv("HF_TOKEN", TOKEN)

    def refuse(*_: object, **__: object) -> None:
        try:
            raise RuntimeError(f"header Authorization: Bearer {TOKEN}")
        except RuntimeError as inner:
            raise OSError(f"401 for {TOKEN} at the hub") from inner

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(FileNotFoundError, match=r"401 for hf_\*\*\* at the hub") as raised:
        load_pair("E2B")
    told = "".join(traceback.format_exception(raised.value))
    assert TOKEN not in told
    assert main(["demo", "--pair", "E2B", "--prompt", "x"]) == 2
    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err
