"""What is never done with what others give us: read a pickle, run its code, print the hub's token.

Standard library only, so that whatever reports errors can use it.
"""

import json
import os
import re
import traceback
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from unicodedata import category

from gemma_mtp_edu.lessons.language import tr

TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN")
# What tokens of the hub look like, also those that stand in a file and not in the environment, that
# follow a letter, as in a URL's %3Dhf_..., or have three parts with dots between them.
_TOKEN = re.compile(r"(?:hf|api_org)_\w*[A-Za-z0-9]{16,}(?:[.-][\w-]{8,})*", re.ASCII)
_COMMANDS = {"Cc", "Cf", "Cs"}  # controls, what turns the direction of writing, half characters
_PASSWORD = re.compile(r"(?<=://)[^/\s]+(?=@)")
# Of transformers itself; any other may be fetched from the hub, flash_attention_2 too.
_BUILT_IN = {
    "_attn_implementation": (None, "eager", "sdpa", "flex_attention"),
    "_experts_implementation": (None, "eager", "batched_mm", "grouped_mm"),
}
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


class UnsafeModelError(ValueError):
    """A model can only be had by running what it brings: a pickle, or Python code."""


def check_weights(folder: Path) -> None:
    """Raise where a folder's weights are pickles only; a pickle can run code when it is read.

    Raises:
        UnsafeModelError: It names the file and what to do.
    """
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles and not any(folder.glob("*.safetensors")):
        raise UnsafeModelError(
            tr(
                "cannot load {folder}: got weights in {file}, need safetensors. The file is "
                "a pickle, which can run any code when it is read, so it is not: save the "
                "model with save_pretrained() of a current transformers where you trust it",
                folder=folder,
                file=pickles[0],
            )
        )


def check_shards(index: Path) -> None:
    """Raise where an index of weights names anything but safetensors files beside it.

    The library reads a shard by the end of its name: as a pickle where that is another one.

    Args:
        index: The file with the map from tensors to files; read as far as it is one.

    Raises:
        UnsafeModelError: It names the file and what to do.
    """
    try:
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return  # the library refuses it
    for name in sorted(map(str, named)):
        if not name.endswith(".safetensors") or _has_folder(name):
            raise UnsafeModelError(
                tr(
                    "{index} names the weights file {name!r}, need safetensors files beside it: "
                    "any other could be a pickle, which can run code when it is read; save the "
                    "model with save_pretrained() of a current transformers where you trust it",
                    index=index.name,
                    name=name,
                )
            )


def _has_folder(name: str) -> bool:
    return any(kind(name).name != name for kind in (PurePosixPath, PureWindowsPath))


def check_implementations(source: str, config: Any) -> None:
    """Raise where a configuration asks for a kernel, which is code, or for weights of its choice.

    Args:
        source: Where the configuration is from.
        config: A configuration of transformers; those in it are looked at too.

    Raises:
        UnsafeModelError: It names what is asked for and what to do.
    """
    inner = [getattr(config, name, None) for name in getattr(config, "sub_configs", {})]
    for part in (config, *inner):
        if (named := getattr(part, "transformers_weights", None)) is not None:
            raise UnsafeModelError(
                tr(
                    "cannot load {source}: its config.json names the weights file {name!r}, which "
                    "may be a pickle; need no such entry: delete transformers_weights from it, and "
                    "call the weights model.safetensors",
                    source=source,
                    name=named,
                )
            )
        for name, known in _BUILT_IN.items():
            got = getattr(part, name, None)
            if got not in known:
                raise UnsafeModelError(
                    tr(
                        "cannot load {source}: its config.json asks for {name} {got!r}, which may "
                        "be code from the hub, and code that a model chooses is never run here; "
                        "need {known} or no such entry: delete it from config.json",
                        source=source,
                        name=name.removeprefix("_"),
                        got=got,
                        known=", ".join(map(repr, known[1:])),
                    )
                )


def foreign_code(source: str) -> UnsafeModelError:
    """Return the error for a model that transformers has no classes for."""
    return UnsafeModelError(
        tr(
            "cannot load {source}: it needs Python code of its own, and code that comes with a "
            "model is never run here: take a Gemma 4 pair, whose classes transformers has",
            source=source,
        )
    )


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


def without_commands(text: str) -> str:
    r"""Return a text whose control characters, and what no terminal can write, are escaped.

    >>> without_commands("data\udce9 \x1b[2J")
    'data\\udce9 \\x1b[2J'
    """
    return "".join(
        letter.encode("unicode_escape").decode() if category(letter) in _COMMANDS else letter
        for letter in text
    )


def tellable(error: BaseException) -> BaseException | None:
    """Return an error to chain another one to; None where a token stands in it or in its causes."""
    told = "".join(traceback.format_exception(error))
    return error if without_tokens(told) == told else None
