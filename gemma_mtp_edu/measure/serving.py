"""Commands that serve a pair with MTP drafts elsewhere: vLLM, SGLang, llama.cpp.

They are built from a measured draft length and start nothing. Flags were read in November 2026 in
each project's own documentation, which `SOURCES` names; the project has not run these servers.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gemma_mtp_edu.core.arguments import whole
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.registry import PAIRS, POCKET, PairInfo, find

CONTEXT = 8192
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "vLLM": "https://docs.vllm.ai/en/stable/features/speculative_decoding/mtp/",
        "SGLang": "https://github.com/sgl-project/sglang/blob/main/docs/cookbook/autoregressive/"
        "Google/Gemma4.mdx",
        "llama.cpp": "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    }
)
# vLLM's recipe for Gemma 4 and SGLang's cookbook give these two GPUs.
_GPUS = {"26B-A4B": 2, "31B": 2}


@dataclass(frozen=True, slots=True)
class Serving:
    """How one project serves a pair.

    Attributes:
        project: "vLLM", "SGLang" or "llama.cpp".
        steps: Commands in their order; each is a program and its arguments.
        note: What its documentation says that the command does not.
        source: The page of the flags.
    """

    project: str
    steps: tuple[tuple[str, ...], ...]
    note: str
    source: str

    @property
    def shell(self) -> str:
        """The commands as lines for a POSIX shell, quoted where they must be."""
        return "\n".join(shlex.join(step) for step in self.steps)


def serving_commands(
    pair: str, draft_length: int, *, context_length: int = CONTEXT
) -> tuple[Serving, ...]:
    """Return how vLLM, SGLang and llama.cpp serve a pair with that many drafts per round.

    Args:
        pair: A registered name or hub id of a published pair.
        draft_length: Drafts per round; 0 serves the target alone, for where drafting does not pay.
        context_length: Tokens of prompt and answer that a request may have.

    Raises:
        ValueError: The pair is the bundled one or unknown, or a number is out of range.
    """
    info = find(pair) if isinstance(pair, str) else None
    if info is None or info.name == POCKET:
        names = ", ".join(name for name in PAIRS if name != POCKET)
        raise ValueError(
            tr(
                "got the pair {pair!r}, need a published one that servers know: {names}; the "
                "bundled pair lives in this package alone",
                pair=pair,
                names=names,
            )
        )
    draft_length = whole(draft_length, "draft_length", 0, " of drafts")
    context_length = whole(context_length, "context_length", 1, " of tokens")
    return (
        _vllm(info, draft_length, context_length),
        _sglang(info, draft_length, context_length),
        _llama_cpp(info, draft_length, context_length),
    )


def _vllm(info: PairInfo, draft_length: int, context_length: int) -> Serving:
    step = ["vllm", "serve", info.target_id, "--max-model-len", str(context_length)]
    if draft_length:
        config = {
            "method": "mtp",
            "model": info.drafter_id,
            "num_speculative_tokens": draft_length,
        }
        step += ["--speculative-config", json.dumps(config)]
        if gpus := _GPUS.get(info.name):
            step += ["--tensor-parallel-size", str(gpus)]
    note = tr(
        "Its Gemma 4 recipe asks for a GPU of 24 GB or more even for E2B, so not a T4. A release "
        "from before May 2026 takes the drafter for an ordinary small model and may fail."
    )
    return Serving("vLLM", (tuple(step),), note, SOURCES["vLLM"])


def _sglang(info: PairInfo, draft_length: int, context_length: int) -> Serving:
    step = ["sglang", "serve", "--model-path", info.target_id]
    step += ["--context-length", str(context_length)]
    if draft_length:
        step += ["--speculative-algorithm", "NEXTN"]
        step += ["--speculative-draft-model-path", info.drafter_id]
        step += ["--speculative-num-steps", str(draft_length)]
        # A chain: the token that a round starts from counts as one of these.
        step += ["--speculative-num-draft-tokens", str(draft_length + 1)]
        step += ["--speculative-eagle-topk", "1"]
        if gpus := _GPUS.get(info.name):
            step += ["--tp-size", str(gpus)]
    note = tr(
        "It sees that the drafter is a Gemma 4 assistant and turns NEXTN into its FROZEN_KV_MTP. "
        "Its cookbook takes 5 steps for every size; its table of hardware names data-centre GPUs."
    )
    return Serving("SGLang", (tuple(step),), note, SOURCES["SGLang"])


def _llama_cpp(info: PairInfo, draft_length: int, context_length: int) -> Serving:
    ids = [info.target_id, info.drafter_id] if draft_length else [info.target_id]
    steps: list[tuple[str, ...]] = []
    for hub_id in ids:
        folder = hub_id.rpartition("/")[2]
        steps.append(("hf", "download", hub_id, "--local-dir", folder))
        steps.append(
            ("python", "convert_hf_to_gguf.py", folder, "--outfile", _gguf(hub_id), "--outtype",
             "bf16")
        )  # fmt: skip
    serve = ["llama-server", "--model", _gguf(info.target_id), "--ctx-size", str(context_length)]
    if draft_length:
        serve += ["--model-draft", _gguf(info.drafter_id), "--spec-type", "draft-mtp"]
        serve += ["--spec-draft-n-max", str(draft_length)]
    note = tr(
        "It needs GGUF files, made here with the script in its repository; --outtype q8_0 halves "
        "them. Gemma 4 drafters since June 2026 (pull requests 23398 and, for E2B and E4B, 24282). "
        "Older pages say --draft-max: that argument has been removed. It leaves out the centroid "
        "head, so a draft of E2B or E4B costs more there, and fewer may be best."
    )
    return Serving("llama.cpp", (*steps, tuple(serve)), note, SOURCES["llama.cpp"])


def _gguf(hub_id: str) -> str:
    return f"{hub_id.rpartition('/')[2]}.gguf"
