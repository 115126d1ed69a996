"""The checker of lesson 04 calls right loops right, and names the mistake of every wrong one."""

from typing import Any

import pytest

from gemma_mtp_edu import ModelPair, autoregressive_generate, speculative_generate
from gemma_mtp_edu.lessons import checks, checks_loop
from gemma_mtp_edu.lessons.checking import NOT_TRIED
from tests.cases import beside, cases
from tests.model.tiny import Shape, tiny_pair

# Right loops and wrong ones as learners write them in lesson 04: one function, told which mistake.
LEARNER: dict[str, Any] = {}
exec(beside(__file__, ".py.txt"), LEARNER)
loop = LEARNER["loop"]


def package(pair: ModelPair, ids: Any, gamma: int, limit: int) -> Any:
    return speculative_generate(pair, ids, gamma=gamma, max_new_tokens=limit).token_ids


def alone(pair: ModelPair, ids: Any, gamma: int, limit: int) -> Any:
    return autoregressive_generate(pair, ids, max_new_tokens=limit).token_ids


def raising(*given: Any) -> Any:
    try:
        return loop(*given[:3], 0, "no drafter")
    except Exception as error:  # never what the checker raises
        return error


SHAPES = None, Shape(), Shape(centroids=0, shared_layers=0)


@pytest.mark.parametrize("function", [loop, package])
@pytest.mark.parametrize("shape", SHAPES)
def test_right_loops(pair: ModelPair, shape: Any, function: Any, capsys: Any) -> None:
    checks.greedy_loop(function, tiny_pair(shape) if shape else pair)
    assert capsys.readouterr().out.startswith("Right. Target passes: ")


@cases
def test_wrong_loops(pair: ModelPair, fault: str, reply: str, capsys: Any) -> None:
    checks.greedy_loop(lambda *given: loop(*given, fault), pair)
    said = capsys.readouterr().out
    assert reply in said and "Right" not in said and ", round " in said
    # Hooks of transformers' own stay, from the first call on that asks for hidden states.
    left = [m._forward_hooks | m._forward_pre_hooks for m in pair.target.modules()]
    named = [getattr(hook, "__module__", "") for hooks in left for hook in hooks.values()]
    assert checks_loop.__name__ not in named


@pytest.mark.parametrize(
    ("function", "reply"),
    [
        (alone, "nothing was drafted"),
        (raising, "nothing was drafted"),
        (lambda *given: [7], "the target was never called"),
        (lambda *given: [][1], "IndexError: list index out of range (at `"),
        (lambda *given: None, NOT_TRIED),
    ],
)
def test_other_functions(pair: ModelPair, function: Any, reply: str, capsys: Any) -> None:
    checks.greedy_loop(function, pair)
    assert reply in capsys.readouterr().out


def test_an_unwritten_part_is_not_called_right(pair: ModelPair, capsys: Any) -> None:
    def unwritten(*given: Any) -> Any:
        loop(*given[:3], 1)
        raise NotImplementedError

    checks.first_rounds(unwritten, pair)
    checks.first_rounds(lambda *given: loop(*given, "stops early"), pair)
    checks.first_rounds(lambda *given: [], pair)
    first, second, third = capsys.readouterr().out.splitlines()
    assert (first, second) == (NOT_TRIED, "Right so far.")
    assert "never called" in third
    assert len(checks_loop.CASES) > 3
