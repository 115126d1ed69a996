"""Load a target with its drafter, and check that they fit before anything runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Int
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoProcessor
from transformers.utils import logging as transformers_logging

from gemma_mtp_edu import bundled, registry
from gemma_mtp_edu.compatibility import check_models, check_pair, check_token_ordering
from gemma_mtp_edu.devices import choose_device, choose_dtype
from gemma_mtp_edu.encoding import check_ids, message_ids
from gemma_mtp_edu.releases import check_transformers
from gemma_mtp_edu.safety import check_weights, foreign_code, tellable, without_tokens

Dtype = Literal["auto", "float32", "bfloat16", "float16"] | torch.dtype


class PairNotFoundError(FileNotFoundError):
    """A pair is neither registered, nor a folder, nor to be had from the hub right now."""


@dataclass(slots=True, eq=False)
class ModelPair:
    """A target and the drafter that proposes tokens for it; checked when it is made.

    Attributes:
        target: The model that decides, a `transformers` causal language model.
        drafter: The model that proposes: `Gemma4AssistantForCausalLM`, or a smaller causal model.
        processor: Tokenizer or processor with a chat template; None where prompts are token ids.
        name: What traces and figures call the pair.

    Raises:
        UnsupportedReleaseError: The installed transformers release cannot run an MTP drafter.
        IncompatiblePairError: The models do not fit together.
    """

    target: Any
    drafter: Any
    processor: Any = None
    name: str = ""

    def __post_init__(self) -> None:
        check_transformers()
        check_models(self.target, self.drafter)
        check_pair(self.target.config, self.drafter.config)
        check_token_ordering(self.drafter)
        self.target.eval()
        self.drafter.eval()

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, also where the processor wraps one."""
        return getattr(self.processor, "tokenizer", self.processor)

    @property
    def device(self) -> torch.device:
        """The device that takes the input ids."""
        device: torch.device = self.target.device
        return device

    @property
    def positions(self) -> int | None:
        """How many tokens of prompt and text the target was made for; None if it does not say."""
        return getattr(self.target.config.get_text_config(), "max_position_embeddings", None)

    def encode(self, prompt: str | Int[Tensor, "1 seq"]) -> Int[Tensor, "1 seq"]:
        """Return token ids `[1, seq]` on the target's device.

        Args:
            prompt: A user's message, which goes through the chat template, or ids as they are.

        Raises:
            ValueError: The prompt is empty, too long, of a wrong shape or kind, holds ids that are
                no tokens, or the pair has no processor.
        """
        ids = self._encode_text(prompt) if isinstance(prompt, str) else prompt
        vocabulary = self.target.config.get_text_config().vocab_size
        return check_ids(ids, vocabulary, self.positions).to(self.device, torch.long)

    def encode_messages(self, messages: list[dict[str, str]]) -> Int[Tensor, "1 seq"]:
        """Return the ids `[1, seq]` of a conversation that the model is to answer.

        Args:
            messages: Turns with "role" ("user" or "assistant") and "content"; a user's comes last.

        Raises:
            ValueError: They are no turns, or the pair has no processor with a chat template.
        """
        return message_ids(self.processor, messages).to(self.device)

    def decode(self, ids: Any, *, skip_special_tokens: bool = True) -> str:
        """Return the text of token ids.

        Raises:
            ValueError: The pair has no processor.
        """
        if self.processor is None:
            raise ValueError(
                "this pair has no processor: give one as ModelPair(..., processor=...)"
            )
        text: str = self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        return text

    def _encode_text(self, prompt: str) -> Int[Tensor, "1 seq"]:
        if not prompt.strip():
            raise ValueError(
                "got an empty prompt, need at least one word: write a question or task"
            )
        return self.encode_messages([{"role": "user", "content": prompt}])


def check_is_pair(pair: Any) -> None:
    """Raise unless it is a pair.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(pair, ModelPair):
        raise ValueError(
            f"got a {type(pair).__name__} as pair, need what load_pair() returns, or "
            "ModelPair(target, drafter) of loaded models"
        )


def load_pair(
    target: str | Path = registry.POCKET,
    drafter: str | Path | None = None,
    *,
    device: str = "auto",
    dtype: Dtype = "auto",
) -> ModelPair:
    """Load a target with its drafter.

    Args:
        target: "pocket" (the bundled pair, needs no network), a registered name ("E2B", "E4B",
            "12B", "26B-A4B", "31B"), a hub id, or a folder: either of a model, or with `target` and
            `drafter` folders in it.
        drafter: Hub id or folder of the drafter; by default the one that belongs to the target (a
            hub id's or folder's own name + "-assistant").
        device: "auto" (CUDA, then Apple's MPS, then CPU), or a torch device such as "cpu".
        dtype: "auto" (see `choose_dtype`), a name or a torch dtype.

    Returns:
        The pair, in evaluation mode.

    Raises:
        PairNotFoundError: Nothing of that name is registered, on disk or to be had from the hub.
        IncompatiblePairError: The models do not fit together.
        UnsupportedReleaseError: The transformers release cannot run an MTP drafter.
        DamagedPairError: A file of the bundled pair is missing or altered.
    """
    check_transformers()
    name, target_source, drafter_source = _sources(target, drafter)
    chosen_device = choose_device(device)
    chosen_dtype = _dtype(dtype, chosen_device, small=name == registry.POCKET)
    check_pair(_config(target_source), _config(drafter_source))
    with _quiet_progress(name == registry.POCKET):
        target_model = _load(target_source, chosen_device, chosen_dtype)
        drafter_model = _load(drafter_source, chosen_device, chosen_dtype)
        processor = _from_hub(AutoProcessor.from_pretrained, target_source)
    return ModelPair(target_model, drafter_model, processor=processor, name=name)


def model_ids(target: str | Path = registry.POCKET) -> tuple[str, str]:
    """Return what `from_pretrained` takes for the target and the drafter of a pair.

    Args:
        target: What `load_pair` takes.

    Returns:
        Two hub ids or two folders; for the bundled pair its folders in the package.
    """
    _, target_source, drafter_source = _sources(target, None)
    return target_source, drafter_source


def eos_ids(target: Any) -> set[int]:
    """Return the token ids that end a text, as the target's generation configuration says."""
    return configured_eos_ids(target.generation_config)


def configured_eos_ids(config: Any) -> set[int]:
    """Return the token ids that end a text, as a generation configuration says."""
    eos = config.eos_token_id
    if eos is None:
        return set()
    return {eos} if isinstance(eos, int) else set(eos)


def _dtype(dtype: Dtype, device: torch.device, *, small: bool) -> torch.dtype:
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype == "auto":
        return torch.float32 if small else choose_dtype(device)
    found = {t: getattr(torch, t) for t in ("float32", "bfloat16", "float16")}.get(dtype)
    if found is None:
        raise ValueError(
            f"got dtype {dtype!r}, need 'auto', 'float32', 'bfloat16', 'float16' or a torch dtype"
        )
    return found


def _sources(target: str | Path, drafter: str | Path | None) -> tuple[str, str, str]:
    """Return the pair's name and where target and drafter are loaded from."""
    info = registry.find(str(target))
    if info is not None and info.name == registry.POCKET:
        folder = bundled.verified_folder()
        return info.name, str(folder / "target"), str(drafter or folder / "drafter")
    if info is not None:
        return info.name, info.target_id, str(drafter or info.drafter_id)
    folder = Path(target).expanduser()
    if folder.is_dir():
        inner = folder / "target"
        source, partner = (
            (inner, folder / "drafter")
            if inner.is_dir()
            else (folder, folder.with_name(f"{folder.name}-assistant"))
        )
        return folder.name, str(source), str(drafter or partner)
    if "/" not in str(target) or isinstance(target, Path):
        raise PairNotFoundError(_unknown(str(target)))
    return str(target), str(target), str(drafter or f"{target}-assistant")


def _unknown(name: str) -> str:
    near = registry.nearest(name)
    hint = f"; did you mean {near!r}?" if near else ""
    return (
        f"no pair, folder or hub id {name!r}{hint} Registered pairs: "
        f"{', '.join(registry.PAIRS)}; or pass a folder, or a hub id such as google/gemma-4-E2B-it"
    )


def _config(source: str) -> Any:
    return _from_hub(AutoConfig.from_pretrained, source)


def _load(source: str, device: torch.device, dtype: torch.dtype) -> Any:
    # accelerate spreads a model over several GPUs, and over CPU memory where those are too small.
    place = "auto" if device.type == "cuda" and device.index is None else {"": device}
    return _from_hub(
        AutoModelForCausalLM.from_pretrained,
        source,
        dtype=dtype,
        device_map=place,
        use_safetensors=True,
    )


_FOLDER_NEEDS = (
    "A model folder needs config.json, safetensors weights and, for a target, tokenizer files"
)


def _from_hub(load: Any, source: str, **kwargs: Any) -> Any:
    """Call a `from_pretrained`, and say what to do where the files cannot be had."""
    folder = Path(source)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise PairNotFoundError(f"cannot load {source}: no config.json in it. {_FOLDER_NEEDS}")
    check_weights(folder)
    try:
        # False, not unset: then nobody is asked either whether to run code that a model brings.
        return load(source, trust_remote_code=False, **kwargs)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise foreign_code(source) from None
    except OSError as error:
        near = registry.nearest(source)
        hint = f" Did you mean {near!r}?" if near and near != source else ""
        if folder.exists():
            raise PairNotFoundError(
                f"cannot load {source}: {_first_line(error)} {_FOLDER_NEEDS}"
            ) from tellable(error)
        raise PairNotFoundError(
            f"cannot get {source!r}: it is not in the local cache, and the hub did not give it "
            f"({_first_line(error)}).{hint} Either go online (and, for a gated model, accept its "
            "licence on its hub page and log in), or work without network: load_pair('pocket') "
            "needs none"
        ) from tellable(error)


def _first_line(error: BaseException) -> str:
    lines = without_tokens(str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


@contextmanager
def _quiet_progress(quiet: bool) -> Iterator[None]:
    """Hide the library's loading bars, and leave that setting as it was."""
    was_on = transformers_logging.is_progress_bar_enabled()
    if quiet:
        transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if quiet and was_on:
            transformers_logging.enable_progress_bar()
