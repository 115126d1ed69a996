"""Where a pair's files are, and which of them may be read: safetensors and JSON, whole, no code.

Standard library and huggingface_hub only, so that whatever reports errors can use it.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gemma_mtp_edu.models import registry
from gemma_mtp_edu.models.memory import NotEnoughMemoryError, one_device

MANIFEST = "manifest.json"
# All that is ever asked of the hub: no pickle and no Python is among it.
SETTINGS, WEIGHTS = ["*.json", "*.jinja", "*.model"], ["model*.safetensors"]
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
# What tokens of the hub look like, also those that stand in a file and not in the environment, that
# follow a letter, as in a URL's %3Dhf_..., or have three parts with dots between them.
_TOKEN = re.compile(r"(?:hf|api_org)_\w*[A-Za-z0-9]{16,}(?:[.-][\w-]{8,})*", re.ASCII)
_PASSWORD = re.compile(r"(?<=://)[^/\s]+(?=@)")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
# Of transformers itself; any other may be code from the hub, flash_attention_2 too.
_BUILT_IN = (None, "eager", "sdpa", "flex_attention", "batched_mm", "grouped_mm")
_RESAVE = (
    "a pickle can run any code when it is read, so it is not: save the model with "
    "save_pretrained() of a current transformers where you trust it"
)


class PairNotFoundError(FileNotFoundError):
    """A pair is neither registered, nor a folder, nor to be had from the hub right now."""


class DamagedPairError(RuntimeError):
    """A file of a pair is missing, cut off or altered."""


class UnsafeModelError(ValueError):
    """A model can only be had by running what it brings: a pickle, or Python code."""


def bundled_folder() -> Path:
    """Return the folder of the bundled pair, with `target/` and `drafter/` in it."""
    return Path(__file__).parents[1] / "data" / "pocket"


def sources(target: str | Path, drafter: str | Path | None = None) -> tuple[str, str, str]:
    """Return the name of what `load_pair` takes, and where both models are: folders or hub ids."""
    folder = Path(target).expanduser()
    # A path is never a registered name.
    info = registry.find(target) if isinstance(target, str) else None
    if info is not None and not info.target_id:
        folder, info = bundled_folder(), None
        verify(folder)
    if info is not None:
        name, *found = info.name, info.target_id, info.drafter_id
    elif (folder / "target").is_dir():
        folder = folder.resolve()  # "." has a name too
        name, *found = folder.name, str(folder / "target"), str(folder / "drafter")
    elif folder.is_dir():
        folder = folder.resolve()
        name, *found = folder.name, str(folder), f"{folder}-assistant"
    elif isinstance(target, str) and re.fullmatch(r"\w[\w.-]*/[\w.-]+", target):
        name, *found = target, target, f"{target}-assistant"
    else:
        near = registry.nearest(str(target))
        raise PairNotFoundError(
            f"no pair, folder or hub id {str(target)!r}"
            + (f"; did you mean {near!r}? " if near else ". ")
            + f"Registered pairs: {', '.join(registry.PAIRS)}; or pass a folder, or a hub id such "
            "as google/gemma-4-E2B-it"
        )
    if drafter is not None:
        # A registered pair's short name means its drafter; a target's id is that model itself.
        short = isinstance(drafter, str) and "/" not in drafter and registry.find(drafter)
        found[1] = sources(drafter)[2] if short else str(Path(drafter).expanduser())
    return name, found[0], found[1]


def fetch(source: str, patterns: list[str]) -> Path:
    """Return a model's folder, checked; files of a hub id that fit the patterns are fetched."""
    from huggingface_hub import snapshot_download

    folder = Path(source)
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(source, allow_patterns=patterns))
        except (OSError, ValueError) as error:
            near = registry.nearest(source)
            hint = f" Did you mean {near!r}?" if near and near != source else ""
            # Not chained: a token of the hub may stand in its causes.
            raise PairNotFoundError(
                f"cannot get {source!r}: it is not in the local cache, and the hub did not give "
                f"it ({first_line(error)}).{hint} Either go online (and, for a gated model, accept "
                "its licence on its hub page and log in), or work without network: "
                "load_pair('pocket') needs none"
            ) from None
    check_folder(folder)
    return folder


def load(kind: Any, folder: Path, **kwargs: Any) -> Any:
    """Call a class's `from_pretrained`, and name the folder that it cannot read."""
    try:
        # False, not unset: then nobody is asked either whether to run that code.
        return kind.from_pretrained(folder, trust_remote_code=False, **kwargs)
    except Exception as error:  # whatever altered files make of the library
        reason = first_line(error)
        if "trust_remote_code" in str(error):
            raise UnsafeModelError(
                f"cannot load {folder}: it needs Python code of its own, and code that comes with "
                "a model is never run here: take a Gemma 4 pair, whose classes transformers has"
            ) from None
        if isinstance(error, MemoryError) or re.search("out of memory|allocate memory", reason):
            raise NotEnoughMemoryError(f"no memory left to load {folder}: {reason}") from None
        raise DamagedPairError(
            f"cannot load {folder}: {type(error).__name__}: {reason}. Files that are missing or "
            "altered can be copied or downloaded again"
        ) from error


def load_models(folders: list[Path], device: Any, dtype: Any) -> tuple[Any, Any]:
    """Return target and drafter on a device; on CUDA without an index the target on all GPUs."""
    spread = device.type == "cuda" and device.index is None
    target = _load_model(folders[0], "auto" if spread else {"": device}, dtype)
    # A drafter is small, and its parts are called one by one, past accelerate's moving of tensors.
    home = target.get_input_embeddings().weight.device
    # Weights that accelerate keeps elsewhere are on meta here, and come to the GPU to compute.
    home = one_device(device) if home.type == "meta" else home
    return target, _load_model(folders[1], {"": home}, dtype)


def _load_model(folder: Path, place: Any, dtype: Any) -> Any:
    from transformers import AutoModelForCausalLM

    kwargs = {"dtype": dtype, "device_map": place, "use_safetensors": True}
    model, found = load(AutoModelForCausalLM, folder, output_loading_info=True, **kwargs)
    # The library fills them with random numbers, and only logs it.
    if lacking := sorted(found["missing_keys"]):
        raise DamagedPairError(
            f"the weights of {folder} lack {len(lacking)} tensors, such as {lacking[0]}: files are "
            "missing or altered; copy or download them again"
        )
    return model


def verify(folder: Path) -> None:
    """Raise unless every file that the manifest in `folder` lists has its sha256 sum."""
    again = "install the package again (in a clone: make pocket)"
    try:
        sums = dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"])
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise DamagedPairError(
            f"{MANIFEST} in {folder} is missing, cut off or altered ({error!r}): {again}"
        ) from error
    for name, expected in sums.items():
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise DamagedPairError(f"{name} is missing from {folder}: {again}")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise DamagedPairError(
                f"{name} is cut off or altered: it has sha256 {found[:12]}..., the manifest says "
                f"{expected[:12]}...; {again}"
            )


def check_folder(folder: Path) -> None:
    """Raise where a model's folder lacks its configuration, or holds what must not be read."""
    if not (folder / "config.json").is_file():
        raise PairNotFoundError(
            f"cannot load {folder}: no config.json in it. A model folder needs config.json, "
            "safetensors weights and, for a target, tokenizer files"
        )
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    if pickles and not any(folder.glob("*.safetensors")):
        raise UnsafeModelError(
            f"cannot load {folder}: got weights in {pickles[0]}, need safetensors; {_RESAVE}"
        )
    for path in sorted(set(folder.glob("*.json")) - {folder / "tokenizer.json"}):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            # The library goes on without some of these files.
            raise DamagedPairError(
                f"{path} is cut off or altered ({error}): copy or download it again"
            ) from error
        for name, value in _entries(record):
            _check_entry(path, name, value)


def _check_entry(path: Path, name: str, value: Any) -> None:
    if "_implementation" in name and value not in _BUILT_IN:
        raise UnsafeModelError(
            f"cannot load {path}: it asks for {name} {value!r}, which may be code from the hub, "
            "and code that a model chooses is never run here: delete that entry"
        )
    # The library reads a file by the end of its name: as a pickle where that is another one.
    named = list(value.values()) if name == "weight_map" else []
    if name == "transformers_weights" and value is not None:
        named = [f"/{value}"]  # in no case: the library would obey it
    for shard in named:
        if not re.fullmatch(r"[^/\\:]+\.safetensors", str(shard)):
            raise UnsafeModelError(
                f"cannot load {path}: it names the weights file {shard!r}, need safetensors files "
                f"beside it under their usual names; {_RESAVE}"
            )


def _entries(record: Any) -> Iterator[tuple[str, Any]]:
    """Yield all names and values of a JSON text, those inside of others too."""
    if isinstance(record, dict):
        yield from record.items()
        record = list(record.values())
    for inner in record if isinstance(record, list) else ():
        yield from _entries(inner)


def first_line(error: BaseException) -> str:
    """Return what an error says first, without tokens, or its class where it says nothing."""
    return without_tokens(str(error)).strip().partition("\n")[0] or type(error).__name__


def without_tokens(text: str) -> str:
    """Return a text in which no token of the hub stands any more, and no password of a URL.

    >>> without_tokens("401 for Bearer hf_AbCdEfGhIjKlMnOpQrStUv")
    '401 for Bearer hf_***'
    >>> without_tokens("no proxy at https://ida:secret@proxy:8080")
    'no proxy at https://***@proxy:8080'
    """
    for name in TOKEN_VARIABLES:
        value = os.environ.get(name, "").strip()
        if len(value) >= 8:  # shorter ones are no tokens, and may be parts of words
            text = text.replace(value, "hf_***")
    return _PASSWORD.sub("***", _TOKEN.sub("hf_***", text))
