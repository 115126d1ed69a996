"""Get a model's files from a folder or the hub, or say what is wrong with them and what to do."""

import errno
import gc
import json
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor, AutoTokenizer
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME
from transformers.utils.hub import cached_file

from gemma_mtp_edu.lessons.language import marked, sentences, tr
from gemma_mtp_edu.models import registry
from gemma_mtp_edu.models.bundled import DamagedPairError
from gemma_mtp_edu.models.compatibility import IncompatiblePairError
from gemma_mtp_edu.models.devices import one_device
from gemma_mtp_edu.models.memory_plan import gigabytes
from gemma_mtp_edu.models.room import MORE_DISK, SMALLER, NoDiskSpaceError, NotEnoughMemoryError
from gemma_mtp_edu.models.safety import (
    check_implementations,
    check_shards,
    check_weights,
    foreign_code,
    tellable,
    without_tokens,
)

_FOLDER_NEEDS = marked(
    "A model folder needs config.json, safetensors weights and, for a target, tokenizer files"
)


# None instead of an error: what is wrong is said when the weights are fetched.
_WHERE_IT_IS = {
    f"_raise_exceptions_for_{what}": False
    for what in ("gated_repo", "missing_entries", "connection_errors")
}


class PairNotFoundError(FileNotFoundError):
    """A pair is neither registered, nor a folder, nor to be had from the hub right now."""


def get_config(source: str) -> Any:
    """Return the configuration of a model.

    Raises:
        UnsafeModelError: It asks for code from the hub.
    """
    config = _fetched(AutoConfig.from_pretrained, source)
    check_implementations(source, config)
    return config


def get_processor(source: str) -> Any:
    """Return the processor of a target; its tokenizer where the rest needs a library not here."""
    return _fetched(_processor, source)


def get_models(sources: tuple[str, str], device: torch.device, dtype: torch.dtype) -> list[Any]:
    """Return target and drafter; where memory runs out on the way, none of them stays loaded.

    Args:
        sources: Of target and drafter.
        device: Where to. On CUDA without an index the target is spread over all GPUs, and over the
            CPU's memory where those are too small; the drafter goes to one of them.
        dtype: The number format.

    Raises:
        NotEnoughMemoryError: Memory ran out.
    """
    try:
        return _target_and_drafter(*sources, device, dtype)
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        reason = _first_line(error)
        traceback.clear_frames(error.__traceback__)  # whoever keeps the error keeps no model
    # Only here is the error gone, and with it all that its frames held.
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise NotEnoughMemoryError(
        tr(
            "memory ran out while {sources} were loaded ({reason}); all of it is free again: "
            "{smaller}",
            sources=tr(" and ").join(sources),
            reason=reason,
            smaller=tr(SMALLER),
        )
    )


def check_tokenizers(target: str, drafter: str) -> None:
    """Raise where a drafter comes with a tokenizer that numbers its tokens in another way.

    Vocabularies of one size may still be different ones; then no draft would ever be right. Special
    tokens may differ: releases rename them.

    Raises:
        IncompatiblePairError: They differ.
    """
    folder = Path(drafter)
    if not folder.is_dir() or not any(folder.glob("tokenizer*")):
        return
    one, other = (_fetched(AutoTokenizer.from_pretrained, source) for source in (target, drafter))
    special = {*one.get_added_vocab(), *other.get_added_vocab()}
    theirs = other.get_vocab()
    differ = [
        token
        for token, number in one.get_vocab().items()
        if token not in special and theirs.get(token) != number
    ]
    if differ:
        raise IncompatiblePairError(
            tr(
                "the drafter's tokenizer differs from the target's in {count} tokens, such as "
                "{token!r}: a pair must share one tokenizer; take the drafter that was made for "
                "this target",
                count=len(differ),
                token=differ[0],
            )
        )


def _processor(source: str, **kwargs: Any) -> Any:
    try:
        return AutoProcessor.from_pretrained(source, **kwargs)
    except ImportError as error:  # such as torchvision, for pictures and films
        tokenizer = AutoTokenizer.from_pretrained(source, **kwargs)
        warnings.warn(
            tr(
                "{source} gets a tokenizer only, which is all that texts need; its processor for "
                "pictures and sound needs a library that is not here ({error})",
                source=source,
                error=_first_line(error),
            ),
            stacklevel=4,
        )
        return tokenizer


def _target_and_drafter(
    target: str, drafter: str, device: torch.device, dtype: torch.dtype
) -> list[Any]:
    spread = device.type == "cuda" and device.index is None
    loaded = _model(target, "auto" if spread else {"": device}, dtype)
    # A drafter is small, and its parts are called one by one, past accelerate's moving of tensors.
    home = loaded.get_input_embeddings().weight.device
    # Weights that accelerate keeps elsewhere are on meta here, and come to the GPU to compute.
    home = one_device(device) if home.type == "meta" else home
    return [loaded, _model(drafter, {"": home}, dtype)]


def _model(source: str, place: str | dict[str, torch.device], dtype: torch.dtype) -> Any:
    index = _fetched(_index, source)
    if index is not None:
        check_shards(Path(index))
    model, found = _fetched(
        AutoModelForCausalLM.from_pretrained,
        source,
        dtype=dtype,
        device_map=place,
        use_safetensors=True,
        output_loading_info=True,
    )
    # The library fills them with random numbers, and only logs it.
    if lacking := sorted(found["missing_keys"]):
        raise DamagedPairError(
            tr(
                "the weights of {source} lack {count} tensors, such as {name}: files are missing "
                "or altered; copy or download them again",
                source=source,
                count=len(lacking),
                name=lacking[0],
            )
        )
    return model


def _index(source: str, **_: Any) -> str | None:
    """Return the file that says which weights files there are; None where there is one only."""
    found: str | None = cached_file(source, SAFE_WEIGHTS_INDEX_NAME, **_WHERE_IT_IS)
    return found


def _fetched(load: Any, source: str, **kwargs: Any) -> Any:
    """Call a `from_pretrained`, and say what to do where the files cannot be had or read."""
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise PairNotFoundError(_cannot_load(source, tr("no config.json in it.")))
    check_weights(folder)
    _check_json(folder)
    try:
        # False, not unset: then nobody is asked either whether to run code that a model brings.
        return load(source, trust_remote_code=False, **kwargs)
    except OSError as error:
        raise _not_had(source, error) from tellable(error)
    except SafetensorError as error:
        raise DamagedPairError(
            tr(
                "a weights file of {source} is cut off or altered ({error}): copy or download it "
                "again",
                source=source,
                error=error,
            )
        ) from error
    except Exception as error:  # whatever altered files make of the library
        if "trust_remote_code" in str(error):
            raise foreign_code(source) from None
        if _is_memory(error):
            raise
        raise DamagedPairError(
            _cannot_load(
                source,
                _first_line(error),
                tr("Install that library, then start Python again.")
                if isinstance(error, ImportError)
                else tr("Its files are altered, or of a model that transformers cannot run."),
            )
        ) from tellable(error)


def _check_json(folder: Path) -> None:
    """Raise where a small JSON file is cut off: the library goes on without some of them."""
    for path in sorted(folder.glob("*.json")):
        if path.name == "tokenizer.json":
            continue
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise DamagedPairError(
                tr(
                    "{name} in {folder} is not a complete JSON text ({error}): the file is cut "
                    "off or altered; copy or download it again",
                    name=path.name,
                    folder=folder,
                    error=error,
                )
            ) from error


def _not_had(source: str, error: OSError) -> OSError:
    if any(getattr(cause, "errno", None) == errno.ENOSPC for cause in _causes(error)):
        info = registry.find(source)
        need = ""
        if info is not None:
            need = tr(" of {size}", size=gigabytes(info.memory_gb * 1e9))
        return NoDiskSpaceError(
            errno.ENOSPC,
            tr(
                "no space left on the disk for the files of {source}: need a folder with "
                "room{need}; {more}",
                source=source,
                need=need,
                more=tr(MORE_DISK),
            ),
        )
    if Path(source).exists():
        return PairNotFoundError(_cannot_load(source, _first_line(error)))
    near = registry.nearest(source)
    return PairNotFoundError(
        sentences(
            tr(
                "cannot get {source!r}: it is not in the local cache, and the hub did not give it "
                "({error}).",
                source=source,
                error=_first_line(error),
            ),
            tr("Did you mean {near!r}?", near=near) if near and near != source else "",
            tr(
                "Either go online (and, for a gated model, accept its licence on its hub page and "
                "log in), or work without network: load_pair('pocket') needs none"
            ),
        )
    )


def _cannot_load(source: str, *reasons: str) -> str:
    told = tr("cannot load {source}: {reasons}", source=source, reasons=sentences(*reasons))
    return sentences(told, tr(_FOLDER_NEEDS))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_memory(error: BaseException) -> bool:
    """Return whether memory ran out; the CPU's allocator has no error class of its own."""
    words = ("out of memory", "allocate memory", "not enough memory")
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or any(word in str(error).lower() for word in words)


def _first_line(error: BaseException) -> str:
    lines = without_tokens(str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
