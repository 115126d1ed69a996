"""Errors and printed texts in Japanese, from training to the command line."""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gemma_mtp_edu.__main__ import main
from gemma_mtp_edu.analysis.cost import CostModel
from gemma_mtp_edu.analysis.grid import check_grid
from gemma_mtp_edu.analysis.prices import round_price
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.theory import expected_tokens
from gemma_mtp_edu.core.drafters import check_drafter
from gemma_mtp_edu.core.options import check_listeners, check_processors
from gemma_mtp_edu.core.schedules import Constant, FromProfile
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons import language
from gemma_mtp_edu.lessons.language import columns, speaking
from gemma_mtp_edu.measure import bench, scale_report
from gemma_mtp_edu.measure.prompt_file import read_prompts
from gemma_mtp_edu.measure.result_lines import check_writable
from gemma_mtp_edu.measure.serving import serving_commands
from gemma_mtp_edu.models import bundled, safety
from gemma_mtp_edu.models.memory_plan import memory_plan
from gemma_mtp_edu.training import target_texts as own_texts
from gemma_mtp_edu.training.checkpoints import MARKER, load_checkpoint
from gemma_mtp_edu.training.new_drafter import new_drafter
from gemma_mtp_edu.training.training_memory import MemoryNeed
from gemma_mtp_edu.training.training_plan import Plan
from tests.unit.test_cost import make_cost
from tests.unit.test_japanese_views import JAPANESE
from tests.unit.test_replay import HAND

PACKAGE = Path(language.__file__).parents[1]
# Not for learners: a mistyped attribute, and a language that there is not.
ENGLISH_ALONE = {"__init__", "language"}
SENTENCE = re.compile(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}")

ERRORS: dict[str, Callable[[Path], object]] = {
    "bundled pair, absent": bundled.verify,
    "pickles": lambda folder: safety.check_weights(_with(folder, "pytorch_model.bin")),
    "code of its own": lambda _: _raised(safety.foreign_code("someone/model")),
    "training: rate": lambda _: Plan(learning_rate=0),
    "training: no rate": lambda _: Plan(learning_rate="fast"),  # type: ignore[arg-type]
    "training: loss": lambda _: Plan(loss="mse"),  # type: ignore[arg-type]
    "training: prompts": lambda _: own_texts.held_out_texts(None, []),  # type: ignore[arg-type]
    "training: one prompt": lambda _: own_texts.held_out_texts(None, "Hi"),  # type: ignore[arg-type]
    "checkpoint": lambda folder: load_checkpoint(_with(folder, MARKER), [], {}),
    "new drafter": lambda _: new_drafter(object()),
    "cost: lengths": lambda _: check_grid((2, 3), (64,)),
    "cost: contexts": lambda _: check_grid((1, 2), (1,)),
    "cost: too long": lambda _: make_cost().verify(99),
    "cost: context": lambda _: make_cost().plain(-1),
    "cost: file": lambda _: CostModel.from_json("{} {}"),  # the parser says little
    "cost: schema": lambda _: CostModel.from_json('{"schema": "other"}'),
    "cost: evidence": lambda _: make_cost().verdict("it is fast"),  # type: ignore[arg-type]
    "cost of a draft": lambda _: round_price(-1.0),
    "theory": lambda _: expected_tokens(0.5, 10**9),
    "replay": lambda _: replay(HAND, Constant(99)),
    "replay: profile": lambda _: replay("profile", Constant(1)),  # type: ignore[arg-type]
    "schedule": lambda _: FromProfile((1, -1)),
    "trace: field": lambda _: GenerationTrace.from_json(_with_field(HAND_TRACE, "token_ids", 3)),
    "profile": lambda _: AcceptanceProfile.from_json(_with_field(HAND.to_json(), "max_gamma", 9)),
    "drafter": lambda _: check_drafter(3),
    "listener": lambda _: check_listeners("print"),
    "streamer": lambda _: check_listeners(None, "out"),
    "processors": lambda _: check_processors(3),
    "memory": lambda _: memory_plan("E3B"),
    "memory: dtype": lambda _: memory_plan("E2B", "int4"),
    "serving": lambda _: serving_commands("pocket", 4),
    "serving: number": lambda _: serving_commands("E2B", -1),
    "bench: lengths": lambda _: bench.Plan(gammas=()),
    "bench: prompts": lambda folder: read_prompts(_with(folder, "prompts.txt") / "prompts.txt"),
    "bench: out": lambda folder: check_writable(folder / "no" / "such.json"),
    "bench: report": lambda _: scale_report.report_page([]),
}
HAND_TRACE = replay(HAND, Constant(1)).to_json()


def _with(folder: Path, name: str) -> Path:
    (folder / name).write_text('{"step": "one"}')
    return folder


def _with_field(text: str, field: str, value: object) -> str:
    return json.dumps({**json.loads(text), field: value})


def _raised(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_told_in_japanese(name: str, tmp_path: Path) -> None:
    with pytest.raises(Exception) as english:  # noqa: PT011 - which one is the module's matter
        ERRORS[name](tmp_path)
    with speaking("ja"), pytest.raises(type(english.value)) as japanese:
        ERRORS[name](tmp_path)
    assert not JAPANESE.search(str(english.value))
    assert JAPANESE.search(str(japanese.value))
    assert not SENTENCE.search(str(japanese.value)), str(japanese.value)
    assert "??" not in str(japanese.value)


def test_no_error_of_the_package_is_english_alone() -> None:
    alone = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                if path.stem not in ENGLISH_ALONE and says_english(node.exc.args[0]):
                    alone.append(f"{path.name}:{node.lineno}")
    assert alone == []


def says_english(node: ast.expr) -> bool:
    """Return whether a message is a text with words of its own; fields are no words."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [part.value for part in parts if isinstance(part, ast.Constant)]
    return any(isinstance(text, str) and re.search("[A-Za-z]", text) for text in texts)


def test_the_command_line_errs_in_japanese(capsys: pytest.CaptureFixture[str]) -> None:
    with speaking("ja"):
        assert main(["bench", "--prompts", "some.txt"]) == 2
    assert capsys.readouterr().err.startswith("エラー: --prompts には --out も必要です")


def test_help_is_japanese_and_never_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for chosen, said in (("ja", "モデルへのプロンプト"), ("de", "what to ask the model")):
        monkeypatch.setattr(language, "_chosen", [])
        monkeypatch.setenv(language.VARIABLE, chosen)
        with pytest.raises(SystemExit, match="0"):
            main(["demo", "--help"])
        assert said in capsys.readouterr().out


def test_printed_tables_and_records_are_japanese() -> None:
    need = MemoryNeed(10**9, 2 * 10**9, 3 * 10**9, 4 * 10**9)
    with speaking("ja"):
        rows = str(need).splitlines()
        assert bench.shown("assisted, ours, 4 drafts") == "アシスト付き、このコース、ドラフト 4 個"
        assert bench.shown("plain, library") == "通常、ライブラリ"
        assert "各位置から" in repr(HAND)
        assert all(JAPANESE.search(entry.note) for entry in serving_commands("E2B", 2))
    assert len({columns(row) for row in rows}) == 1
    assert all(JAPANESE.search(row) for row in rows)
