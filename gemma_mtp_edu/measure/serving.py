"""Commands that serve a pair with MTP drafts elsewhere: vLLM, SGLang, llama.cpp.

They are built from a measured draft length and start nothing. Flags were read in November 2026 in
each project's own documentation, which `SOURCES` names; the project has not run these servers.
"""

import json
import shlex
from dataclasses import dataclass

from gemma_mtp_edu.models.registry import PAIRS, POCKET, PairInfo, find

CONTEXT = 8192
SOURCES = {
    "vLLM": "https://docs.vllm.ai/en/stable/features/speculative_decoding/mtp/",
    "SGLang": "https://github.com/sgl-project/sglang/blob/main/docs/cookbook/autoregressive/"
    "Google/Gemma4.mdx",
    "llama.cpp": "https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
}
# vLLM's recipe for Gemma 4 and SGLang's cookbook give these two GPUs.
_TWO_GPUS = {"26B-A4B", "31B"}


@dataclass(frozen=True, slots=True)
class Serving:
    """How one project serves a pair: commands in their order, each a program and its arguments."""

    project: str
    steps: tuple[tuple[str, ...], ...]

    @property
    def shell(self) -> str:
        """The commands as lines for a POSIX shell, quoted where they must be."""
        return "\n".join(map(shlex.join, self.steps))


def serving_commands(
    pair: str, draft_length: int, *, context_length: int = CONTEXT
) -> tuple[Serving, ...]:
    """Return how vLLM, SGLang and llama.cpp serve a pair with that many drafts per round.

    Args:
        pair: A registered name or hub id of a published pair.
        draft_length: Drafts per round; 0 serves the target alone, for where drafting does not pay.
        context_length: Tokens of prompt and answer that a request may have.

    Raises:
        ValueError: The pair is the bundled one or unknown.
    """
    info = find(pair)
    if info is None or info.name == POCKET:
        names = ", ".join(name for name in PAIRS if name != POCKET)
        raise ValueError(
            f"got the pair {pair!r}, need a published one that servers know: {names}; the bundled "
            "pair lives in this package alone"
        )
    return (
        Serving("vLLM", (_vllm(info, draft_length, context_length),)),
        Serving("SGLang", (_sglang(info, draft_length, context_length),)),
        Serving("llama.cpp", _llama_cpp(info, draft_length, context_length)),
    )


def _vllm(info: PairInfo, draft_length: int, context_length: int) -> tuple[str, ...]:
    step = ["vllm", "serve", info.target_id, "--max-model-len", str(context_length)]
    if draft_length:
        drafts = {"model": info.drafter_id, "num_speculative_tokens": draft_length}
        step += ["--speculative-config", json.dumps({"method": "mtp", **drafts})]
        step += ["--tensor-parallel-size", "2"] * (info.name in _TWO_GPUS)
    return tuple(step)


def _sglang(info: PairInfo, draft_length: int, context_length: int) -> tuple[str, ...]:
    step = ["sglang", "serve", "--model-path", info.target_id]
    step += ["--context-length", str(context_length)]
    if draft_length:
        step += ["--speculative-algorithm", "NEXTN"]
        step += ["--speculative-draft-model-path", info.drafter_id]
        step += ["--speculative-num-steps", str(draft_length)]
        # A chain: the token that a round starts from counts as one of these.
        step += ["--speculative-num-draft-tokens", str(draft_length + 1)]
        step += ["--speculative-eagle-topk", "1"]
        step += ["--tp-size", "2"] * (info.name in _TWO_GPUS)
    return tuple(step)


def _llama_cpp(
    info: PairInfo, draft_length: int, context_length: int
) -> tuple[tuple[str, ...], ...]:
    steps: list[tuple[str, ...]] = []
    for hub_id in [info.target_id, info.drafter_id] if draft_length else [info.target_id]:
        name = hub_id.rpartition("/")[2]
        convert = ("python", "convert_hf_to_gguf.py", name, "--outfile", f"{name}.gguf")
        steps.append(("hf", "download", hub_id, "--local-dir", name))
        steps.append((*convert, "--outtype", "bf16"))
    target, drafter = (f"{i.rpartition('/')[2]}.gguf" for i in (info.target_id, info.drafter_id))
    serve = ["llama-server", "--model", target, "--ctx-size", str(context_length)]
    if draft_length:
        serve += ["--model-draft", drafter, "--spec-type", "draft-mtp"]
        serve += ["--spec-draft-n-max", str(draft_length)]
    return (*steps, tuple(serve))
