"""Take the pictures of both widgets in JupyterLab; write them and their texts into the READMEs.

    python -m tools.screenshots

What the pictures show comes from the bundled pair, and their texts from the same replays. Those of
README.ja.md need a Japanese font.
"""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from gemma_mtp_edu import load_pair
from gemma_mtp_edu.analysis.profile import AcceptanceProfile, acceptance_profile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.analysis.tradeoff import Setting, outcome
from gemma_mtp_edu.core.schedules import Constant
from gemma_mtp_edu.lessons.language import speaking
from gemma_mtp_edu.models.registry import PROMPTS
from gemma_mtp_edu.show.plots import describe_rounds
from gemma_mtp_edu.show.widgets import numbers, setting_words
from tests.browser import lab
from tools.document import write_parts
from tools.figures import telling_rounds
from tools.lessons import ROOT, write_notebook

IMAGES = ROOT / "docs" / "images"


@dataclass(frozen=True, slots=True)
class Edition:
    """A README's pictures and what is said of them.

    Attributes:
        language: That the widgets speak.
        readme: Where it is written.
        pictures: Each widget's file.
        texts: Each picture's alt text, to be filled in.
        caption: What made them, to be filled in.
    """

    language: str
    readme: str
    pictures: Mapping[str, str]
    texts: Mapping[str, str]
    caption: str


EDITIONS = tuple(
    Edition(**entry)
    for entry in json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
)
WORKLOADS = ("story", "arithmetic", "json")
GAMMA, COST = 4, 0.1
WINDOW = {"width": 1280, "height": 1000}
COLOURS, WIDTH = 64, 720
CELLS = {
    "explorer": f"TradeoffExplorer(profiles, cost={COST})",
    "viewer": "viewer = RoundViewer(replay(profiles['story'], Constant({gamma})), revealed=True)\n"
    "viewer.round.value = {index}\nviewer",
}
FIRST_CELL = """\
import json
import os
from pathlib import Path

from gemma_mtp_edu import RoundViewer, TradeoffExplorer
from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.analysis.replay import replay
from gemma_mtp_edu.core.schedules import Constant

os.environ["GEMMA_MTP_EDU_LANG"] = "{language}"
stored = json.loads(Path("profiles.json").read_text(encoding="utf-8"))
profiles = {{name: AcceptanceProfile.from_json(text) for name, text in stored.items()}}
"""


def shown_round(profile: AcceptanceProfile) -> int:
    """Return the round that the viewer's picture shows: some drafts hold, and one does not."""
    trace = replay(profile, Constant(GAMMA))
    first = telling_rounds(trace, 3)
    kinds = [(r.next_kind, r.n_accepted > 0) for r in trace.rounds[first : first + 3]]
    return first + kinds.index(("correction", True))


def write_notebook_of(
    profiles: Mapping[str, AcceptanceProfile], language: str, folder: Path
) -> None:
    """Write a notebook that shows both widgets in a language."""
    stored = {name: profile.to_json() for name, profile in profiles.items()}
    (folder / "profiles.json").write_text(json.dumps(stored), encoding="utf-8")
    index = shown_round(profiles["story"])
    sources = (cell.format(gamma=GAMMA, index=index) for cell in CELLS.values())
    first = FIRST_CELL.format(language=language)
    cells = [nbformat.v4.new_code_cell(source) for source in (first, *sources)]
    write_notebook(nbformat.v4.new_notebook(cells=cells), folder / "widgets.ipynb")


def take(page: Page, server: lab.Server, pictures: Mapping[str, str]) -> None:
    """Run the notebook and write each widget's picture with few colours: a small file."""
    notebook = lab.NotebookPage(page, server, "widgets.ipynb")
    notebook.command("application:toggle-left-area")
    page.set_viewport_size(WINDOW)
    notebook.run_all()
    IMAGES.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(pictures.values(), start=1):
        widget = notebook.show(index).locator(".jupyter-widgets").first
        page.wait_for_timeout(1000)  # the kernel's last answer is drawn
        picture = Image.open(BytesIO(widget.screenshot()))
        picture.convert("RGB").quantize(COLOURS).save(IMAGES / name, optimize=True)


def texts(profiles: Mapping[str, AcceptanceProfile], edition: Edition) -> dict[str, str]:
    """Return what each picture shows, in the edition's words."""
    story, setting = profiles["story"], Setting("constant", GAMMA)
    trace = replay(story, Constant(GAMMA))
    with speaking(edition.language):
        rows = "; ".join(
            f"{name}: {value}" for name, value in numbers(outcome(story, setting, COST))
        )
        told = describe_rounds(trace, first=shown_round(story), count=1)
        told = told.removeprefix(describe_rounds(trace, count=0)).lstrip()
        values = {"setting": setting_words(setting), "rows": rows, "told": told}
    return {name: text.format(**values) for name, text in edition.texts.items()}


def markdown(profiles: Mapping[str, AcceptanceProfile], edition: Edition) -> str:
    """Return both pictures as HTML, with their texts."""
    lines = []
    for name, text in texts(profiles, edition).items():
        alt = escape(text).replace("&#x27;", "'")
        picture = (IMAGES / edition.pictures[name]).relative_to(ROOT).as_posix()
        # Pieces of words in the text are no spelling mistakes.
        lines.append(f'<img src="{picture}" alt="{alt}" width="{WIDTH}"> <!-- codespell:ignore -->')
    pair = profiles["story"].provenance["pair"]
    lines.append(edition.caption.format(pair=pair, prompt=PROMPTS["story"][0], cost=COST))
    return "\n\n".join(lines)


def main() -> int:
    """Take the pictures, write the READMEs' parts, and return the exit code."""
    pair = load_pair(device="cpu")
    profiles = {
        name: acceptance_profile(pair, PROMPTS[name][0], max_gamma=16, max_new_tokens=64)
        for name in WORKLOADS
    }
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        path = lab.find_chromium(playwright)
        if path is None:
            print(f"error: {lab.HOW_TO_GET_ONE}", file=sys.stderr)
            return 2
        with lab.chromium(playwright, path) as browser, lab.lab_server(Path(folder)) as server:
            for edition in EDITIONS:
                write_notebook_of(profiles, edition.language, server.folder)
                with lab.watched_page(browser) as page:
                    take(page, server, edition.pictures)
                write_parts(ROOT / edition.readme, {"widgets": markdown(profiles, edition)})
                print(f"took {', '.join(edition.pictures.values())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
