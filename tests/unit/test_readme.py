"""What README.md and CONTRIBUTING.md say is true: code runs, paths and commands exist."""

import importlib.util
import json
import re
from html import unescape
from pathlib import Path

import pytest

from gemma_mtp_edu.lessons.language import catalogue
from tests.cases import beside, posix
from tests.unit.test_project import run
from tools import bench_table, buttons, figures, hardware, screenshots
from tools.document import part
from tools.lesson_rules import homely_words
from tools.lessons import notebooks

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "README.ja.md", "CONTRIBUTING.md")
LESSONS = [path for path in notebooks() if path.stem[0].isdigit()]  # solutions have no row
_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
_SUFFIXES = (".py", ".md", ".toml", ".txt", ".ipynb", ".yml", ".json", ".png", "/")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def code_spans(text: str) -> list[str]:
    """Return what stands in backticks or in fenced blocks that are not Python."""
    fenced = re.findall(r"^```(?!python)\w*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return fenced + re.findall(r"`([^`\n]+)`", text)


def named_files(text: str) -> list[str]:
    """Return the spans that name a file or folder of this repository."""
    spans = [span for span in code_spans(text) if _FILE.fullmatch(span)]
    return [span for span in spans if "/" in span.strip("/") or span.endswith(_SUFFIXES)]


def exists(name: str) -> bool:
    """Return whether a name from a document is a file or folder here; hub ids are none of ours."""
    is_hub_id = re.fullmatch(r"(?:google|transformers|vllm-project)/[\w.-]+", name)
    is_made = name.split("/")[0] in {".venv", "build"}
    return bool(is_hub_id or is_made or list(ROOT.glob(name.replace("NN_name", "*"))))


@pytest.fixture(params=DOCUMENTS)
def text(request: pytest.FixtureRequest) -> str:
    return (ROOT / request.param).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])  # README.ja.md has the same
def test_python_blocks_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for block in blocks((ROOT / name).read_text(encoding="utf-8"), "python"):
        exec(compile(block, name, "exec"), namespace)


@posix
@pytest.mark.parametrize("name", [*DOCUMENTS, "gemma_mtp_edu/data/pocket/README.md"])
def test_shell_blocks_are_commands_of_the_makefile(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    assert lines
    clone = f"git clone https://github.com/{buttons.repository_slug()} && cd gemma_mtp_edu"
    for line in lines if lines[0] != clone else lines[1:]:
        assert line.startswith("make ")
        # A dry run: the demo really runs in tests/model, and `make test` is what runs this.
        done = run(["bash", "-c", f"{line} --dry-run"])
        assert (done.returncode, done.stderr) == (0, ""), line


def test_named_files_exist(text: str) -> None:
    assert [name for name in named_files(text) if not exists(name)] == []


def test_named_make_targets_exist(text: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {target for span in code_spans(text) for target in make_targets(span)}
    assert named - targets == set()


def make_targets(span: str) -> list[str]:
    """Return the targets of the make commands in a span: words up to the first variable."""
    commands = re.findall(r"(?:^|[\n;&$] ?)make((?: [a-z-]+(?![\w=]))+)", span)
    return [target for command in commands for target in command.split()]


def test_named_modules_exist(text: str) -> None:
    modules = {m for span in code_spans(text) for m in re.findall(r"python -m ([\w.]+)", span)}
    assert [name for name in sorted(modules) if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_readme_has_the_buttons_of_every_lesson(path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    name = path.relative_to(ROOT / "notebooks").with_suffix("").as_posix()
    for address in buttons.addresses(buttons.repository_slug(), name).values():
        assert address in readme


def test_the_picture_is_small_and_has_a_text_that_says_what_it_shows() -> None:
    picture = (ROOT / figures.PICTURE).read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) < 80_000
    shown = part((ROOT / "README.md").read_text(encoding="utf-8"), "picture")
    (tag,) = re.findall(r"<img [^>]*>", shown)
    assert f'src="{figures.PICTURE}"' in tag
    (alt,) = re.findall(r'alt="([^"]*)"', tag)
    said = unescape(alt)
    assert figures.PROMPT in said
    assert re.search(r"\d+ tokens in \d+ target passes", said)
    assert len(re.findall(r"Round \d+: (?:accepted|rejected) '", said)) == figures.ROUNDS
    for role in ("accepted", "rejected", "correction", "bonus"):
        assert f"{role} '" in said


@pytest.mark.parametrize("edition", screenshots.EDITIONS, ids=lambda edition: edition.language)
def test_pictures_of_the_widgets_are_there_small_and_told(edition: screenshots.Edition) -> None:
    shown = part((ROOT / edition.readme).read_text(encoding="utf-8"), "widgets")
    tags = dict(re.findall(r'<img src="([^"]*)" alt="([^"]*)"', shown))
    names = (screenshots.IMAGES / name for name in edition.pictures.values())
    assert list(tags) == [path.relative_to(ROOT).as_posix() for path in names]
    for path, alt in tags.items():
        assert (ROOT / path).read_bytes().startswith(b"\x89PNG")
        assert (ROOT / path).stat().st_size < 60_000
        assert re.search(r"(target passes|ターゲットのパス): \d+|accepted '|受け入れ '", alt)


def test_the_demo_of_the_readme_is_the_command_above_it() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f'make demo PROMPT="{figures.DEMO_PROMPT}"' in blocks(readme, "sh")[0]
    shown = part(readme, "demo")
    assert f"prompt: {figures.DEMO_PROMPT}" in shown
    assert "text: identical to plain generation" in shown
    assert not re.search(r"\d s\b|time:", shown)


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
def test_documents_speak_the_field_s_words(path: Path) -> None:
    assert list(homely_words(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("message", catalogue("ja"))
def test_messages_speak_the_field_s_words(message: str) -> None:
    assert list(homely_words(message)) == []


SAMPLE = beside(__file__, ".txt")


def test_the_checks_see_what_is_wrong() -> None:
    assert named_files(SAMPLE) == ["tools/no_such.py", "google/gemma-4-E2B-it"]
    assert [name for name in named_files(SAMPLE) if not exists(name)] == ["tools/no_such.py"]
    targets = [target for span in code_spans(SAMPLE) for target in make_targets(span)]
    assert sorted(targets) == ["demo", "lint", "nonsense", "type"]


def test_tables_are_those_of_the_registry_and_of_the_stored_run() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    record = json.loads(bench_table.RESULT.read_text(encoding="utf-8"))
    assert part(readme, "hardware") == hardware.table()
    assert part(readme, "bench") == bench_table.bench_part(record)
    assert {"dtype", "threads", "torch", "transformers", "plan"} <= set(record["conditions"])
