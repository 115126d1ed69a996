"""Commands for other servers: what a shell makes of them, and what they are built from."""

import json
import shlex
from itertools import pairwise

import pytest

from gemma_mtp_edu.measure.serving import SOURCES, Serving, serving_commands
from gemma_mtp_edu.models.registry import PAIRS, POCKET

PUBLISHED = sorted(set(PAIRS) - {POCKET})


def options(words: list[str]) -> dict[str, str]:
    """Return the values of a command's long options."""
    return {word: value for word, value in pairwise(words) if word.startswith("--")}


def last_command(serving: Serving) -> dict[str, str]:
    return options(shlex.split(serving.shell.splitlines()[-1]))


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("length", [1, 2, 7])
def test_every_project_gets_the_pair_and_the_measured_length(name: str, length: int) -> None:
    vllm, sglang, llama = serving_commands(name, length)
    info = PAIRS[name]
    config = json.loads(last_command(vllm)["--speculative-config"])
    assert config == {
        "method": "mtp", "model": info.drafter_id, "num_speculative_tokens": length,
    }  # fmt: skip
    assert shlex.split(vllm.shell)[:3] == ["vllm", "serve", info.target_id]
    given = last_command(sglang)
    assert given["--model-path"] == info.target_id
    assert given["--speculative-draft-model-path"] == info.drafter_id
    assert int(given["--speculative-num-steps"]) == length
    assert int(given["--speculative-num-draft-tokens"]) == length + 1
    assert given["--speculative-eagle-topk"] == "1"
    given = last_command(llama)
    assert given["--spec-type"] == "draft-mtp"
    assert int(given["--spec-draft-n-max"]) == length
    assert given["--model"] == f"gemma-4-{name}-it.gguf"
    assert given["--model-draft"] == f"gemma-4-{name}-it-assistant.gguf"


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_shell_reads_back_the_very_words(name: str) -> None:
    for serving in serving_commands(name, 4):
        lines = serving.shell.splitlines()
        assert [tuple(shlex.split(line)) for line in lines] == list(serving.steps)
        assert all(step[0] and not step[0].startswith("-") for step in serving.steps)


def test_llama_cpp_converts_what_it_serves() -> None:
    *_, llama = serving_commands("E2B", 2)
    made = {step[step.index("--outfile") + 1] for step in llama.steps if "--outfile" in step}
    given = last_command(llama)
    assert made == {given["--model"], given["--model-draft"]}
    assert [step[0] for step in llama.steps] == ["hf", "python", "hf", "python", "llama-server"]
    assert "--draft-max" not in llama.shell  # removed upstream


def test_without_drafts_no_drafter_is_named() -> None:
    for serving in serving_commands("E4B", 0):
        assert "assistant" not in serving.shell
        assert "spec" not in serving.shell


def test_context_length_reaches_every_command() -> None:
    flags = {"vLLM": "--max-model-len", "SGLang": "--context-length", "llama.cpp": "--ctx-size"}
    for serving in serving_commands("12B", 3, context_length=4096):
        assert last_command(serving)[flags[serving.project]] == "4096"


@pytest.mark.parametrize(("index", "flag"), [(0, "--tensor-parallel-size"), (1, "--tp-size")])
def test_two_gpus_only_where_the_project_says_so(index: int, flag: str) -> None:
    asked = {name: flag in serving_commands(name, 2)[index].shell for name in PUBLISHED}
    assert asked == {"E2B": False, "E4B": False, "12B": False, "26B-A4B": True, "31B": True}


def test_hub_id_is_a_name_too_and_sources_are_pages() -> None:
    assert serving_commands("google/gemma-4-E2B-it", 2) == serving_commands("E2B", 2)
    assert [serving.project for serving in serving_commands("E2B", 2)] == list(SOURCES)
    assert all(page.startswith("https://") for page in SOURCES.values())


@pytest.mark.parametrize("pair", [POCKET, "nobody/model", "E2B; rm -rf ~"])
def test_only_published_pairs_are_served(pair: str) -> None:
    with pytest.raises(ValueError, match="need a published one that servers know: E2B, E4B"):
        serving_commands(pair, 4)
