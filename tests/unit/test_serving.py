"""Commands for other servers: what a shell makes of them, and what they are built from."""

import json
import shlex
from itertools import pairwise

import pytest

from gemma_mtp_edu.measure.serving import serving_commands
from gemma_mtp_edu.models.registry import PAIRS, POCKET

PUBLISHED = sorted(set(PAIRS) - {POCKET})


def options(command: str) -> dict[str, str]:
    """Return the values of the long options of the last command."""
    words = shlex.split(command.splitlines()[-1])
    return {word: value for word, value in pairwise(words) if word.startswith("--")}


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("length", [1, 7])
def test_every_project_gets_the_pair_and_the_measured_length(name: str, length: int) -> None:
    vllm, sglang, llama = serving_commands(name, length, context_length=4096)
    info = PAIRS[name]
    assert shlex.split(vllm)[:3] == ["vllm", "serve", info.target_id]
    given = options(vllm)
    assert json.loads(given["--speculative-config"]) == {
        "method": "mtp", "model": info.drafter_id, "num_speculative_tokens": length,
    }  # fmt: skip
    assert given["--max-model-len"] == "4096"
    given = options(sglang)
    assert given["--model-path"] == info.target_id
    assert given["--context-length"] == "4096"
    assert given["--speculative-draft-model-path"] == info.drafter_id
    assert given["--speculative-num-steps"] == str(length)
    assert given["--speculative-num-draft-tokens"] == str(length + 1)
    assert options(llama) == {
        "--model": f"gemma-4-{name}-it.gguf",
        "--ctx-size": "4096",
        "--model-draft": f"gemma-4-{name}-it-assistant.gguf",
        "--spec-type": "draft-mtp",
        "--spec-draft-n-max": str(length),
    }


@pytest.mark.parametrize("length", [0, 4])
@pytest.mark.parametrize("name", PUBLISHED)
def test_both_sides_of_a_comparison_get_the_same_gpus(name: str, length: int) -> None:
    vllm, sglang, _ = serving_commands(name, length)
    large = name in ("26B-A4B", "31B")
    assert ("--tensor-parallel-size 2" in vllm) == ("--tp-size 2" in sglang) == large


def test_llama_cpp_converts_what_it_serves() -> None:
    *steps, serve = map(shlex.split, serving_commands("E2B", 2)[2].splitlines())
    made = {step[step.index("--outfile") + 1] for step in steps if "--outfile" in step}
    assert made == {serve[serve.index("--model") + 1], serve[serve.index("--model-draft") + 1]}
    assert [step[0] for step in (*steps, serve)] == ["hf", "python", "hf", "python", "llama-server"]
    assert "--draft-max" not in serve  # removed upstream


def test_without_drafts_no_drafter_is_named() -> None:
    for command in serving_commands("E4B", 0):
        assert "assistant" not in command
        assert "spec" not in command


def test_a_hub_id_is_a_name_too() -> None:
    assert serving_commands("google/gemma-4-E2B-it", 2) == serving_commands("E2B", 2)


@pytest.mark.parametrize("pair", [POCKET, "nobody/model", "E2B; rm -rf ~"])
def test_only_published_pairs_are_served(pair: str) -> None:
    with pytest.raises(ValueError, match="need a published one that servers know: E2B, E4B"):
        serving_commands(pair, 4)
