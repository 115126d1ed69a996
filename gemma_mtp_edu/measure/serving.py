"""Commands that serve a pair with MTP drafts elsewhere: vLLM, SGLang, llama.cpp.

Flags are from each project's documentation in November 2026; no such server was run to test them.
"""

import json
import shlex

from gemma_mtp_edu.models.registry import PAIRS, POCKET, find

# vLLM's recipe for Gemma 4 and SGLang's cookbook give these two GPUs, with drafts or without: a
# comparison of one GPU with two says nothing about drafts.
_TWO_GPUS = {"26B-A4B", "31B"}


def serving_commands(
    pair: str, draft_length: int, *, context_length: int = 8192
) -> tuple[str, str, str]:
    """Return how vLLM, SGLang and llama.cpp serve a published pair, as lines for a POSIX shell.

    `draft_length` 0 serves the target alone; `context_length` counts a request's prompt and answer.
    """
    info = find(pair)
    if info is None or info.name == POCKET:
        names = ", ".join(name for name in PAIRS if name != POCKET)
        raise ValueError(f"got the pair {pair!r}, need a published one that servers know: {names}")
    target, drafter, context = info.target_id, info.drafter_id, str(context_length)
    # docs.vllm.ai/en/stable/features/speculative_decoding/mtp
    vllm = ["vllm", "serve", target, "--max-model-len", context]
    # github.com/sgl-project/sglang: docs/cookbook/autoregressive/Google/Gemma4.mdx
    sglang = ["sglang", "serve", "--model-path", target, "--context-length", context]
    # github.com/ggml-org/llama.cpp: tools/server/README.md
    files = {hub_id: hub_id.rpartition("/")[2] for hub_id in (target, drafter)}
    llama = ["llama-server", "--model", f"{files[target]}.gguf", "--ctx-size", context]
    if info.name in _TWO_GPUS:
        vllm += ["--tensor-parallel-size", "2"]
        sglang += ["--tp-size", "2"]
    if draft_length:
        config = {"method": "mtp", "model": drafter, "num_speculative_tokens": draft_length}
        vllm += ["--speculative-config", json.dumps(config)]
        sglang += ["--speculative-algorithm", "NEXTN", "--speculative-draft-model-path", drafter]
        # A chain: the token that a round starts from counts as one of these.
        sglang += ["--speculative-num-steps", str(draft_length)]
        sglang += ["--speculative-num-draft-tokens", str(draft_length + 1)]
        sglang += ["--speculative-eagle-topk", "1"]
        llama += ["--model-draft", f"{files[drafter]}.gguf", "--spec-type", "draft-mtp"]
        llama += ["--spec-draft-n-max", str(draft_length)]
    else:
        del files[drafter]
    steps = []
    for hub_id, name in files.items():
        convert = ["python", "convert_hf_to_gguf.py", name, "--outfile", f"{name}.gguf"]
        steps += [["hf", "download", hub_id, "--local-dir", name], [*convert, "--outtype", "bf16"]]
    return shlex.join(vllm), shlex.join(sglang), "\n".join(map(shlex.join, [*steps, llama]))
