"""Load a target with its drafter, and check that they fit before anything runs."""

import os
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from jaxtyping import Int  # an edge: arguments are checked here
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel
from transformers.convert_slow_tokenizer import bytes_to_unicode
from transformers.utils import logging

from gemma_mtp_edu.core.drafters import CausalLMDrafter, Drafter, MTPDrafter
from gemma_mtp_edu.core.schedules import Constant, Heuristic, Schedule, check_gamma
from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
from gemma_mtp_edu.models import compatibility, files, memory, registry

Ids = Int[Tensor, "1 seq"]
_BYTES = {letter: f"<0x{byte:02X}>" for byte, letter in bytes_to_unicode().items()}


@dataclass(slots=True, eq=False)
class ModelPair:
    """A target and the drafter that proposes tokens for it; checked when it is made."""

    target: Any  # the model that decides, a causal language model of transformers
    # The one that proposes: `Gemma4AssistantForCausalLM`, or a smaller causal model. None where
    # only drafters without a model are used, such as `PromptLookupDrafter()`.
    drafter: Any
    processor: Any = None  # tokenizer with a chat template; None where prompts are token ids
    name: str = ""  # what traces and figures call the pair

    def __post_init__(self) -> None:
        compatibility.check_release()
        for model in (self.target, self.drafter):  # or compiled ones; a wrapper may lend attributes
            inner = getattr(model, "_modules", {}).get("_orig_mod", model)
            # Models with a head have it; the loop, which passes by it, is right for the library's.
            module = getattr(getattr(inner, "prepare_inputs_for_generation", 0), "__module__", "")
            known = isinstance(inner, PreTrainedModel) and module.startswith("transformers.")
            if inner is not None and (not known or inner._is_stateful):
                need = "need one of transformers itself, with its head and no recurrent state"
                how = f"{need}: merge an adapter, or pass the inner model"
                raise compatibility.IncompatiblePairError(f"got a {type(model).__name__}, {how}")
        if self.drafter is not None:
            compatibility.check_pair(self.target.config, self.drafter.config)
            self.drafter.eval()
        self.target.eval()

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, also where the processor wraps one."""
        if self.processor is None:
            raise ValueError("no processor, which text and stop_strings need: pass one to the pair")
        return getattr(self.processor, "tokenizer", self.processor)

    @property
    def device(self) -> torch.device:
        """The device that takes the input ids."""
        return torch.device(self.target.device)

    @property
    def positions(self) -> int | None:
        """How many tokens of prompt and text the target takes; None if it does not say."""
        return getattr(self.target.config.get_text_config(), "max_position_embeddings", None)

    @property
    def eos_ids(self) -> set[int]:
        """The token ids that end a text, as the target's generation configuration says."""
        return configured_eos_ids(self.target.generation_config)

    def default_schedule(self) -> Schedule:
        """Return the schedule of the drafter's `generation_config`."""
        kind = self._own("num_assistant_tokens_schedule") or "constant"
        if kind not in ("constant", "heuristic", "heuristic_transient"):
            raise ValueError(f"got schedule {kind!r}, need 'constant' or 'heuristic'")
        return (Constant if kind == "constant" else Heuristic)(self.default_gamma())

    def default_gamma(self) -> int:
        """Return the drafter's own number of drafts, or else the one that the registry has."""
        drafts, info = self._own("num_assistant_tokens"), registry.find(self.name)
        drafts = info.draft_length if drafts is None and info else drafts
        if drafts is None:
            raise ValueError("no num_assistant_tokens in the drafter's configuration: pass gamma=4")
        return check_gamma(drafts)

    def _own(self, name: str) -> Any:
        return getattr(getattr(self.drafter, "generation_config", None), name, None)

    def new_drafter(self) -> Drafter:
        """Return what drafts with the pair's drafter model, fresh for one generation."""
        if self.drafter is None:
            how = "pass drafter=PromptLookupDrafter(), or load a model, load_pair(target, drafter)"
            raise ValueError(f"got no drafter: this is a target alone, {how}")
        if compatibility.is_mtp_drafter(self.drafter.config):
            return MTPDrafter(self.drafter, self.target.get_input_embeddings())
        return CausalLMDrafter(self.drafter)

    def trace(
        self, prompt: list[int], new: list[int], rounds: list[RoundTrace], stop: Any, method: str
    ) -> GenerationTrace:
        """Return the trace of a finished run, with its texts and what made it."""
        texts = self.token_texts({*new, *(draft for r in rounds for draft in r.draft_ids)})
        ids, text, made = (tuple(prompt), tuple(new)), self.decode(new), self.provenance(method)
        return GenerationTrace(*ids, text, tuple(rounds), stop, texts, made)

    def token_texts(self, token_ids: Collection[int]) -> dict[int, str]:
        """Return the text of each token id, bytes as <0xE6>; nothing without a processor."""
        known = sorted(set(token_ids)) if self.processor else ()
        texts = {i: self.decode([i], skip_special_tokens=False) for i in known}
        for i in (i for i, text in texts.items() if "\ufffd" in text):  # a part of a character
            name = self.tokenizer.convert_ids_to_tokens(i)  # letters for bytes, or <0xE6>
            texts[i] = name if name[:3] == "<0x" else "".join(_BYTES.get(c, c) for c in name)
        return texts

    def provenance(self, method: str) -> dict[str, str]:
        """Return what makes a trace: pair, method, dtype, device, versions."""
        dtype, threads = str(self.target.dtype).removeprefix("torch."), torch.get_num_threads()
        made = {"pair": self.name, "method": method, "dtype": dtype, "device": self.device.type}
        releases = {"torch": torch.__version__, "transformers": transformers.__version__}
        return {**made, "threads": str(threads), **releases}

    def encode(self, prompt: str | Ids, max_new_tokens: int = 0) -> Ids:
        """Return ids on the target's device, checked; a text goes through the chat template."""
        if isinstance(prompt, str):
            if not prompt.strip():
                raise ValueError("got an empty prompt, need a question or task of at least a word")
            if any("\ud800" <= letter <= "\udfff" for letter in prompt):
                raise ValueError(f"got {prompt!r}, need text: these bytes are no UTF-8")
            prompt = self.encode_messages([{"role": "user", "content": prompt}])
        shape = tuple(prompt.shape) if isinstance(prompt, Tensor) else ()
        if len(shape) != 2 or shape[0] != 1 or shape[1] == 0 or prompt.is_floating_point():
            kind = f"{prompt.dtype if shape else type(prompt).__name__} and shape {shape}"
            need = "integer ids of shape (1, seq) as torch.tensor([ids]), at least one token"
            raise ValueError(f"got a prompt of {kind}, need text or {need}: one prompt at a time")
        room = (self.positions or sys.maxsize) - shape[1]
        if room < max(1, max_new_tokens):
            got = f"got max_new_tokens {max_new_tokens} after a prompt of {shape[1]} tokens"
            have = f"the target has {self.positions} positions"
            raise ValueError(f"{got}, need at most {max(0, room)}: {have}")
        last = self.target.config.get_text_config().vocab_size - 1
        if unknown := [i for i in prompt[0].tolist() if not 0 <= i <= last]:
            raise ValueError(f"got id {unknown[0]}, need ids from 0 to {last} of this tokenizer")
        return prompt.to(self.device, torch.long)

    def encode_messages(self, messages: list[dict[str, Any]], **template: Any) -> Ids:
        """Return the ids of a conversation: turns with "role", the last "user", and "content".

        The chat template gets what else is given, such as `enable_thinking=True` for Gemma 4's.
        """
        if self.processor is None:
            raise ValueError("got text, but this pair has no processor to encode it: pass ids")
        how = template | {"tokenize": False, "add_generation_prompt": True}
        if not messages or messages[-1]["role"] in ("assistant", "model"):
            raise ValueError("got a conversation that the model ends, need one that the user ends")
        parts = [
            part for m in messages for part in m.get("content") or () if isinstance(part, dict)
        ]
        if seen := [part for part in parts if part.get("type") != "text"]:
            raise ValueError(f"got content of type {seen[0].get('type')!r}, need text alone")
        text = self.processor.apply_chat_template(messages, **how)
        # The template writes the mark of the beginning itself; some tokenizers would add another.
        encoded = self.processor(text=text, return_tensors="pt", add_special_tokens=False)
        return encoded["input_ids"].to(self.device)

    def decode(self, ids: Any, *, skip_special_tokens: bool = True) -> str:
        """Return the text of token ids; empty where the pair has no processor."""
        how = {"skip_special_tokens": skip_special_tokens}
        return self.tokenizer.decode(ids, **how) if self.processor else ""


def load_pair(
    target: str | Path = "pocket", drafter: Any = None, *, device: str = "auto", dtype: Any = "auto"
) -> ModelPair:
    """Load a target with its drafter, in evaluation mode.

    Args:
        target: "pocket" (bundled, needs no network), another name of `PAIRS` such as "E2B", a hub
            id, or a folder: of a model, or with `target` and `drafter` folders in it.
        drafter: Hub id, folder, or name of its pair; by default the target's (+ "-assistant"), or
            of a folder beside which there is none, no drafter.
        device: "auto" (CUDA, then Apple's MPS, then CPU), or a torch device such as "cpu".
        dtype: "auto" (see `choose_dtype`), a name or a torch dtype.

    Without `OMP_NUM_THREADS` torch gets one thread of the CPU for the bundled pair, which more do
    not make faster, else as many as can run at once.

    Raises:
        OSError, MemoryError, ValueError: It cannot be had, has no room, is unsafe or does not fit.
    """
    if sys.flags.optimize > 1:
        raise ValueError("Python ran with -OO, which drops the docstrings that transformers reads")
    place = choose_device(device)
    if torch.nn.LayerNorm(1, device="cpu").weight.is_meta or place.type == "meta":
        raise ValueError("got meta, a device without data: leave init_empty_weights() or name cpu")
    compatibility.check_release()
    name, *sources = files.sources(target, drafter)
    if drafter is None and Path(sources[0]).is_dir() and not Path(sources[1]).is_dir():
        sources.pop()  # the target alone
    small = Path(sources[0]).parent == files.BUNDLED
    if dtype == "auto":
        dtype = torch.float32 if small else choose_dtype(place)
    number = getattr(torch, str(dtype).removeprefix("torch."))
    if place.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1 if small else memory.usable_threads())
    bars = logging.is_progress_bar_enabled()
    if small:
        logging.disable_progress_bar()
    try:
        folders = [files.fetch(source, files.SETTINGS) for source in sources]
        configs = [files.load(AutoConfig, folder) for folder in folders]
        if len(configs) == 2:
            compatibility.check_pair(*configs)
        tokenizer = files.load(AutoTokenizer, folders[0])
        # All that can be known is checked before the gigabytes come.
        spread = not (small and drafter is None) and memory.check_memory(
            name, configs, place, number
        )
        memory.check_disk(sources, files.WEIGHTS)
        folders = [files.fetch(source, files.SETTINGS + files.WEIGHTS) for source in sources]
        model = files.load_model(folders[0], "auto" if spread else {"": place}, number)
        # A drafter is small, and its parts are called one by one, past accelerate's moving of
        # tensors. Weights that accelerate keeps elsewhere are on meta.
        home = model.get_input_embeddings().weight.device
        home = place if home.type == "meta" else home
        proposer = files.load_model(folders[1], {"": home}, number) if folders[1:] else None
    finally:
        if bars:
            logging.enable_progress_bar()
    return ModelPair(model, proposer, tokenizer, name)


def model_ids(target: str | Path = registry.POCKET) -> tuple[str, str]:
    """Return what `from_pretrained` takes for target and drafter of what `load_pair` takes."""
    return files.sources(target)[1:]


def configured_eos_ids(config: Any) -> set[int]:
    """Return the token ids that end a text, as a generation configuration says."""
    eos = config.eos_token_id  # the library takes -1 for none
    return set() if eos is None else set(torch.as_tensor(eos).flatten().tolist()) - {-1}


def choose_device(device: str = "auto") -> torch.device:
    """Return the device to load on: CUDA, then MPS, then CPU, or the one that is named."""
    if device == "auto":
        other = "mps" if torch.backends.mps.is_available() else "cpu"
        device = "cuda" if torch.cuda.is_available() else other
    return torch.device(device)


def choose_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype for a large pair: bf16 where a GPU computes in it, else fp16; CPU: fp32."""
    if device.type == "cpu":
        return torch.float32
    # `torch.cuda.is_bf16_supported()` says yes on a T4, which only emulates it.
    computes = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if computes else torch.float16
