"""Where a pair's files are, and which of them may be read: safetensors and JSON, whole, no code."""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from gemma_mtp_edu.models import registry

BUNDLED = Path(__file__).parents[1] / "data" / "pocket"  # with `target/` and `drafter/`
# All that is ever asked of the hub: no pickle and no Python is among it.
SETTINGS, WEIGHTS = ["*.json", "*.jinja", "*.model"], ["model*.safetensors"]
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
# Also tokens that follow a letter, as in a URL's %3Dhf_..., or have parts with dots between them.
_TOKEN = re.compile(r"(?:hf|api_org)_\w*[A-Za-z0-9]{16,}(?:[.-][\w-]{8,})*", re.ASCII)
_PASSWORD = re.compile(r"(?<=://)[^/\s]+(?=@)")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
# Of transformers itself; any other may be code from the hub, flash_attention_2 too.
_BUILT_IN = (None, "eager", "sdpa", "flex_attention", "batched_mm", "grouped_mm")
# What helps by an answer of the hub; causes by what the library says; a page in place of a file.
_REMEDIES, _CAUSES, _PAGE = json.loads((BUNDLED.parent / "remedies.json").read_text("utf-8"))
_RESAVE = "need safetensors, for a pickle can run code: use save_pretrained() where you trust it"


def sources(target: str | Path, drafter: str | Path | None = None) -> tuple[str, str, str]:
    """Return the name of what `load_pair` takes, and where both models are: folders or hub ids."""
    folder = Path(target).expanduser()
    info = registry.find(target) if isinstance(target, str) else None  # a path is never a name
    if info is not None and not info.target_id:
        folder, info = BUNDLED, None
        verify(folder)
    if info is not None:
        name, found = info.name, [info.target_id, info.drafter_id]
    elif folder.is_dir():
        folder = folder.resolve()  # "." has a name too
        known = registry.find(f"google/{folder.name}")  # downloaded: its sizes are known
        name, found = known.name if known else folder.name, [str(folder), f"{folder}-assistant"]
        if (folder / "target").is_dir():
            found = [str(folder / "target"), str(folder / "drafter")]
    elif isinstance(target, str) and re.fullmatch(r"\w[\w.-]*/[\w.-]+", target):
        name, found = target, [target, f"{target}-assistant"]
    else:
        told = f"no pair, folder or hub id {str(target)!r}.{registry.hint(str(target))}"
        raise FileNotFoundError(f"{told} Registered pairs: {', '.join(registry.PAIRS)}")
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
        except Exception as error:  # of the network's library, too
            # Not chained: a token of the hub may stand in its causes.
            told = f"it is not cached, and the hub said: {first_line(error)}."
            advice = f"{registry.hint(source)} Either {_remedy(error)}, or take load_pair('pocket')"
            raise FileNotFoundError(f"cannot get {source!r}: {told}{advice}") from None
    check_folder(folder)
    return folder


def _remedy(error: BaseException | None) -> str:
    """Return what helps against what the hub, or who stands before it, answered."""
    signs = [""]
    while error is not None:
        answer = getattr(error, "response", None)
        signs += [type(error).__name__, str(getattr(answer, "status_code", ""))]
        error = error.__cause__ or error.__context__
    return next(remedy for sign, remedy in _REMEDIES.items() if sign in signs)


def load(kind: Any, folder: Path, **kwargs: Any) -> Any:
    """Call a class's `from_pretrained`, and name the folder that it cannot read."""
    import torch

    try:  # False, not unset: then nobody is asked either whether to run that code
        with torch.device("cpu"):  # a default of the caller's may be one without data, meta
            return kind.from_pretrained(folder, trust_remote_code=False, **kwargs)
    except Exception as error:  # whatever altered files make of the library
        reason = f"{type(error).__name__}: {first_line(error)}"
        reason = next((why for sign, why in _CAUSES.items() if sign in str(error)), reason)
        if "trust_remote_code" in str(error):
            reason = "it needs Python code of its own, which is never run here"
        full = re.search("(?i)out ?of ?memory|allocate memory|^MemoryError", reason)
        raise (MemoryError if full else ValueError)(f"cannot load {folder}: {reason}") from error


def load_model(folder: Path, place: Any, dtype: Any) -> Any:
    """Return a model with all its weights; `place` is a `device_map` of transformers."""
    from transformers import AutoModelForCausalLM

    kwargs = {"dtype": dtype, "device_map": place, "use_safetensors": True}
    model, found = load(AutoModelForCausalLM, folder, output_loading_info=True, **kwargs)
    # The library fills them with random numbers, and only logs it.
    if lacking := sorted(found["missing_keys"]):
        raise ValueError(f"cannot load {folder}: it lacks {len(lacking)} tensors, as {lacking[0]}")
    return model


def verify(folder: Path) -> None:
    """Raise unless every file that the manifest in `folder` lists is in it with its sha256 sum."""
    root = folder.resolve()
    try:
        sums = json.loads((root / "manifest.json").read_text(encoding="utf-8"))["sha256"]
        for name, expected in sums.items():
            path = root / (root / name).resolve().relative_to(root)  # never a file outside
            if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
                raise ValueError(f"{name} is cut off or altered")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        told = f"{first_line(error)}; install the package again (in a clone: make pocket)"
        raise ValueError(f"cannot load {folder}: {told}") from error


def check_folder(folder: Path) -> None:
    """Raise where a model's folder lacks its configuration, or holds what must not be read."""
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"cannot load {folder}: no config.json in it, need a whole model")
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in _PICKLES)
    if pickles and not any(folder.glob("*.safetensors")):
        raise ValueError(f"cannot load {folder}: got weights in {pickles[0]}, {_RESAVE}")
    for path in sorted(set(folder.glob("*.json")) - {folder / "tokenizer.json"}):
        try:
            json.loads(text := path.read_bytes(), object_hook=_check_entries)
        except ValueError as error:  # cut off, too: the library goes on without some of these
            why = _PAGE if text.lstrip().startswith(b"<") else error
            raise ValueError(f"cannot load {path}: {why}") from error


def _check_entries(record: dict[str, Any]) -> dict[str, Any]:
    """Raise where one of a JSON text's objects chooses code, or weights that are no safetensors."""
    for name, value in record.items():
        if "_implementation" in name and value not in _BUILT_IN:
            raise ValueError(f"it asks for {name} {value!r}, which may be code: delete that entry")
        # The library reads a file by the end of its name: as a pickle where that is another one.
        named = list(value.values()) if name == "weight_map" else []
        if name == "transformers_weights" and value is not None:
            named = [f"/{value}"]  # in no case: the library would obey it
        for shard in named:
            if not re.fullmatch(r"[^/\\:]+\.safetensors", str(shard)):
                raise ValueError(f"it names the weights file {shard!r} and not one here, {_RESAVE}")
    return record


def first_line(error: BaseException) -> str:
    """Return what an error says first, without tokens, or its class where it says nothing."""
    return without_tokens(str(error)).strip().partition("\n")[0] or type(error).__name__


def without_tokens(text: str) -> str:
    """Return a text in which no token of the hub stands any more, and no password of a URL."""
    for name in TOKEN_VARIABLES:
        value = os.environ.get(name, "").strip()
        if len(value) >= 8:  # shorter ones are no tokens, and may be parts of words
            text = text.replace(value, "hf_***")
    return _PASSWORD.sub("***", _TOKEN.sub("hf_***", text))
