"""Load a target with its drafter, and check that they fit before anything runs."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from jaxtyping import Int
from torch import Tensor
from transformers.utils import logging as transformers_logging

from gemma_mtp_edu.core.arguments import whole
from gemma_mtp_edu.core.drafters import CausalLMDrafter, Drafter, MTPDrafter
from gemma_mtp_edu.core.schedules import Constant, Heuristic, Schedule, check_gamma
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models import bundled, registry
from gemma_mtp_edu.models.compatibility import (
    check_models,
    check_pair,
    check_token_ordering,
    is_mtp_drafter,
)
from gemma_mtp_edu.models.devices import choose_device, choose_dtype, one_device
from gemma_mtp_edu.models.encoding import check_ids, message_ids, placeholders
from gemma_mtp_edu.models.releases import check_transformers
from gemma_mtp_edu.models.room import check_disk, check_memory
from gemma_mtp_edu.models.weights import (
    PairNotFoundError as PairNotFoundError,
)
from gemma_mtp_edu.models.weights import (
    check_tokenizers,
    get_config,
    get_models,
    get_processor,
)

Dtype = Literal["auto", "float32", "bfloat16", "float16"] | torch.dtype
_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


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
        ValueError: The name is no text.
    """

    target: Any
    drafter: Any
    processor: Any = None
    name: str = ""

    def __post_init__(self) -> None:
        check_transformers()
        if not isinstance(self.name, str):
            raise ValueError(
                tr(
                    "got {given!r} as name, need a text; leave it out for a pair without one",
                    given=self.name,
                )
            )
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

    @property
    def eos_ids(self) -> set[int]:
        """The token ids that end a text, as the target's generation configuration says."""
        return configured_eos_ids(self.target.generation_config)

    def default_schedule(self) -> Schedule:
        """Return the schedule of the drafter's `generation_config`.

        Where that sets no number of drafts, the registry's recommendation counts.

        Raises:
            ValueError: No number is set anywhere, or the schedule has no such name.
        """
        config = self.drafter.generation_config
        kind = config.num_assistant_tokens_schedule or "constant"
        rules = {"constant": Constant, "heuristic": Heuristic, "heuristic_transient": Heuristic}
        if kind not in rules:
            raise ValueError(
                f"got num_assistant_tokens_schedule {kind!r}, need one of {list(rules)}; "
                "or pass a schedule such as Constant(4)"
            )
        return rules[kind](self.default_gamma())

    def default_gamma(self) -> int:
        """Return the number of drafts that `default_schedule` begins with."""
        drafts = self.drafter.generation_config.num_assistant_tokens
        drafts = registry.recommended(self.name) if drafts is None else drafts
        if drafts is None:
            raise ValueError(
                "the drafter's generation_config has no num_assistant_tokens and the pair is not "
                "registered: pass gamma=4, or set drafter.generation_config.num_assistant_tokens"
            )
        return check_gamma(drafts)

    def new_drafter(self) -> Drafter:
        """Return what drafts with the pair's drafter model, fresh for one generation."""
        if is_mtp_drafter(self.drafter.config):
            return MTPDrafter(self.drafter, self.target.get_input_embeddings())
        return CausalLMDrafter(self.drafter)

    def token_texts(self, token_ids: Collection[int]) -> dict[int, str]:
        """Return the text of each token id; empty where the pair has no processor."""
        known = sorted(set(token_ids)) if self.processor is not None else ()
        return {i: self.decode([i], skip_special_tokens=False) for i in known}

    def provenance(self, method: str) -> dict[str, str]:
        """Return what makes a trace: pair, method, dtype, device, versions."""
        return {
            "pair": self.name,
            "method": method,
            "dtype": str(self.target.dtype).removeprefix("torch."),
            "device": self.device.type,
            "threads": str(torch.get_num_threads()),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }

    def encode(
        self, prompt: str | Int[Tensor, "1 seq"], max_new_tokens: int = 0
    ) -> Int[Tensor, "1 seq"]:
        """Return token ids `[1, seq]` on the target's device.

        Args:
            prompt: A user's message, which goes through the chat template, or ids as they are.
            max_new_tokens: Tokens that are to follow: the target must have positions for them.

        Raises:
            ValueError: The prompt is empty, too long, of a wrong shape or kind, holds ids that are
                no tokens, or the pair has no processor.
        """
        ids = self._encode_text(prompt) if isinstance(prompt, str) else prompt
        config = self.target.config
        vocabulary, unread = config.get_text_config().vocab_size, placeholders(config)
        ids = check_ids(ids, vocabulary, self.positions, unread).to(self.device, torch.long)
        if self.positions is not None and ids.shape[1] + max_new_tokens > self.positions:
            raise ValueError(
                f"got max_new_tokens {max_new_tokens} after a prompt of {ids.shape[1]} tokens, "
                f"need at most {self.positions - ids.shape[1]}: the target has {self.positions} "
                "positions (max_position_embeddings); a text that ends by itself ends long before"
            )
        return ids

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
                tr("this pair has no processor: give one as ModelPair(..., processor=...)")
            )
        text: str = self.tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        return text

    def _encode_text(self, prompt: str) -> Int[Tensor, "1 seq"]:
        if not prompt.strip():
            raise ValueError(
                tr("got an empty prompt, need at least one word: write a question or task")
            )
        return self.encode_messages([{"role": "user", "content": prompt}])


def check_is_pair(pair: Any) -> None:
    """Raise unless it is a pair.

    Raises:
        ValueError: It is something else.
    """
    if not isinstance(pair, ModelPair):
        raise ValueError(
            tr(
                "got a {kind} as pair, need what load_pair() returns, or ModelPair(target, "
                "drafter) of loaded models",
                kind=type(pair).__name__,
            )
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
        drafter: Hub id or folder of the drafter, or the registered name of the pair that it belongs
            to; by default the one that belongs to the target (a hub id's or folder's own name +
            "-assistant").
        device: "auto" (CUDA, then Apple's MPS, then CPU), or a torch device such as "cpu".
        dtype: "auto" (see `choose_dtype`), a name or a torch dtype.

    Returns:
        The pair, in evaluation mode.

    Raises:
        PairNotFoundError: Nothing of that name is registered, on disk or to be had from the hub.
        IncompatiblePairError: The models do not fit together.
        UnsupportedReleaseError: The transformers release cannot run an MTP drafter.
        DamagedPairError: A file is cut off or altered, or lacks something; the files of the bundled
            pair, and of a copy that has its manifest, are compared with their sha256 sums.
        NotEnoughMemoryError: The models do not fit in what is free; nothing stays loaded.
        NoDiskSpaceError: What is to be downloaded does not fit on the disk.
        ValueError: The device or dtype is none, or the folder is unsafe.
    """
    check_transformers()
    name, target_source, drafter_source = _sources(target, drafter)
    chosen_device = choose_device(device)
    ours = Path(target_source).parent == bundled.bundled_folder()
    chosen_dtype = _dtype(dtype, chosen_device, small=ours)
    configs = get_config(target_source), get_config(drafter_source)
    check_pair(*configs)
    if ours and drafter is None:
        chosen_device = one_device(chosen_device)
    else:
        own = drafter is not None
        chosen_device = check_memory(name, configs, chosen_device, chosen_dtype, own_drafter=own)
        check_disk(name, configs, (target_source, drafter_source), own_drafter=own)
        check_tokenizers(target_source, drafter_source)
    with _quiet_progress(ours):
        processor = get_processor(target_source)  # before the gigabytes: it may not be had
        loaded = get_models((target_source, drafter_source), chosen_device, chosen_dtype)
    return ModelPair(loaded[0], loaded[1], processor, name)


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
    """Return the token ids that end a text, as a generation configuration says.

    Raises:
        ValueError: One is no token id.
    """
    eos = config.eos_token_id
    if eos is None:
        return set()
    several = eos if isinstance(eos, list | tuple | set) else [eos]
    # The library takes -1 for none.
    return {whole(token, "eos_token_id", -1) for token in several} - {-1}


def _dtype(dtype: Dtype, device: torch.device, *, small: bool) -> torch.dtype:
    if isinstance(dtype, torch.dtype) and dtype in _DTYPES:
        return dtype
    if dtype == "auto":
        return torch.float32 if small else choose_dtype(device)
    names = ("float32", "bfloat16", "float16")
    found = getattr(torch, dtype) if dtype in names else None
    if found is None:
        raise ValueError(
            tr(
                "got dtype {dtype!r}, need 'auto', 'float32', 'bfloat16', 'float16', or "
                "torch.float64",
                dtype=dtype,
            )
        )
    return found


def _sources(target: str | Path, drafter: str | Path | None) -> tuple[str, str, str]:
    """Return the pair's name and where target and drafter are loaded from."""
    for name, given in (("target", target), ("drafter", drafter)):
        if name == "drafter" and given is None:
            continue
        if not isinstance(given, str | Path) or not str(given).strip():
            raise ValueError(
                tr(
                    "got {given!r} as {name}, need a registered name such as 'E2B', a hub id or a "
                    "folder; ModelPair(target, drafter) takes models that are loaded",
                    given=given,
                    name=name,
                )
            )
    named = None if drafter is None else _drafter_source(drafter)
    info = registry.find(target) if isinstance(target, str) else None
    if info is not None and info.name == registry.POCKET:
        folder = bundled.verified_folder()
        return info.name, str(folder / "target"), named or str(folder / "drafter")
    if info is not None:
        return info.name, info.target_id, named or info.drafter_id
    found = _folder(target)
    if found is not None:
        folder = found.resolve()  # "." has a name too
        bundled.verify_copy(folder)
        inner = folder / "target"
        source, partner = (
            (inner, folder / "drafter")
            if inner.is_dir()
            else (folder, folder.with_name(f"{folder.name}-assistant"))
        )
        return folder.name, str(source), named or str(partner)
    if _is_path(target) or str(target).count("/") != 1:
        raise PairNotFoundError(_unknown(str(target)))
    return str(target), str(target), named or f"{target}-assistant"


def _drafter_source(drafter: str | Path) -> str:
    """Return where a drafter is loaded from; a registered pair's short name means its drafter."""
    info = registry.find_short(drafter) if isinstance(drafter, str) else None
    if info is not None:
        return info.drafter_id or str(bundled.verified_folder() / "drafter")
    found = _folder(drafter)
    if found is None and _is_path(drafter):
        raise PairNotFoundError(_unknown(str(drafter)))
    return str(found or drafter)


def _folder(given: str | Path) -> Path | None:
    """Return the folder of that name, if there is one."""
    try:
        folder = Path(given).expanduser()
        return folder if folder.is_dir() else None
    except (OSError, RuntimeError):  # too long for a path; the home of a user who is not there
        return None


def _is_path(given: str | Path) -> bool:
    return isinstance(given, Path) or given.startswith(("/", ".", "~"))


def _unknown(name: str) -> str:
    near = registry.nearest(name)
    hint = tr("; did you mean {near!r}?", near=near) if near else tr(".")
    shown = name if len(name) <= 80 else f"{name[:80]}..."
    return tr(
        "no pair, folder or hub id {shown!r}{hint} Registered pairs: {pairs}; or pass a folder, "
        "or a hub id such as google/gemma-4-E2B-it",
        shown=shown,
        hint=hint,
        pairs=", ".join(registry.PAIRS),
    )


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
