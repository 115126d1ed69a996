"""Which tool takes which models: every cell of the table in docs/tools.md, and its threads."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import gemma_mtp_edu as mtp
from gemma_mtp_edu.core.drafters import PromptLookupDrafter
from gemma_mtp_edu.measure.bench import Plan, run
from gemma_mtp_edu.training.new_drafter import DrafterShape, new_drafter
from tests.model.test_honoured import CAUSAL, PROMPT, SPELLED
from tests.model.tiny import generated
from tools import document, threads

TABLE = Path(__file__).resolve().parents[2].joinpath("docs/tools.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TABLE.splitlines()]
ROWS = [row for row in ROWS if row and row[0].startswith("`")]
PAIRS = [SPELLED, CAUSAL, mtp.ModelPair(SPELLED.target, None, SPELLED.processor)]
LIMIT: Any = {"max_new_tokens": 6}
LOOKUP: Any = {"drafter": PromptLookupDrafter(), "gamma": 3}
TOOLS: list[Any] = [
    lambda pair: mtp.autoregressive_generate(pair, PROMPT, **LIMIT),
    lambda pair: mtp.speculative_generate(pair, PROMPT, gamma=2, **LIMIT),
    lambda pair: mtp.speculative_generate(pair, PROMPT, **LOOKUP, **LIMIT),
    lambda pair: mtp.reference_generate(pair, PROMPT, gamma=2, **LIMIT),
    lambda pair: mtp.reference_generate(pair, PROMPT, assisted=False, **LIMIT),
    lambda pair: generated(pair, PROMPT, gamma=2, **LIMIT),
    lambda pair: mtp.acceptance_profile(pair, PROMPT, max_gamma=2, **LIMIT),
    lambda pair: mtp.CostModel.calibrate(pair, lengths=(1, 3), contexts=(8,), repeats=1),
    lambda pair: run(pair, {"one": ("all", PROMPT)}, Plan((2,), 1, 6), contexts=(8,)),
    lambda pair: new_drafter(pair.target, DrafterShape(16, 16, 2, 2, 0)),
]


@pytest.mark.parametrize(
    ("row", "call"), [*zip(ROWS, TOOLS, strict=True)], ids=[r[0] for r in ROWS]
)
def test_each_tool_takes_or_refuses_what_the_table_says(row: list[str], call: Any) -> None:
    for told, pair in zip(row[1:], PAIRS, strict=True):
        if told == "yes":
            assert call(pair)
        else:
            with pytest.raises(ValueError, match=told):
                call(pair)


def test_threads_are_compared_in_turns_beside_a_process_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads, chosen, before = [], [], torch.get_num_threads()
    begin, choose = threads.subprocess.Popen, torch.set_num_threads
    begun = SimpleNamespace(Popen=lambda c: loads.append(begin(c)) or loads[-1])
    monkeypatch.setattr(threads, "subprocess", begun)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: chosen.append(n) or choose(n))
    told = threads.measured(SPELLED, PROMPT, repeats=2)
    row = r"^\| (nothing|a busy process) \| ([12]) \| ([\d.]+) \| ([\d.]+) \|$"
    rows = [match.groups() for match in re.finditer(row, told, re.MULTILINE)]
    assert [r[:2] for r in rows] == [(b, n) for b in ("nothing", "a busy process") for n in "12"]
    assert rows[0][2:] == ("1.00", "1.00") and all(float(n) > 0 for r in rows for n in r[2:])
    assert chosen == [1, 1, 2, 2, before] * 6 and torch.get_num_threads() == before
    assert len(loads) == 3 and all(load.poll() is not None for load in loads)
    assert "waiting" in told and document.with_part(TABLE, "threads", told) != TABLE
