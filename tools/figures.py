"""Write what the READMEs show: the idea, a picture of real rounds, the demo's output.

    python -m tools.figures

Alt texts are made from the same trace, and the table of hardware from the registry.
"""

import sys
from contextlib import redirect_stdout
from html import escape
from io import BytesIO, TextIOWrapper
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from PIL import Image

from gemma_mtp_edu import GenerationTrace, load_pair, reference_generate
from gemma_mtp_edu.__main__ import main as command_line
from gemma_mtp_edu.lessons.language import speaking, tr
from gemma_mtp_edu.show import plots
from gemma_mtp_edu.show.plots import describe_rounds
from tools import hardware, readme_ja
from tools.document import write_parts
from tools.lessons import ROOT

README = ROOT / "README.md"
PICTURE, IDEA = "docs/images/round.png", "docs/images/draft_verify_accept.png"
# A story, because the drafter guesses it wrong often enough for every role to occur.
PROMPT = "Write a short story about a fox who finds a drum."
ROUNDS = 3
DEMO_PROMPT = "Count from 3 to 12."


def rounds_trace() -> GenerationTrace:
    """Return the assisted generation that the picture shows, made on the CPU in fp32."""
    pair = load_pair(device="cpu")
    return reference_generate(pair, PROMPT, gamma=4, max_new_tokens=128)


def telling_rounds(trace: GenerationTrace, count: int) -> int:
    """Return the first of `count` rounds in a row with a bonus, and a correction after a draft.

    Raises:
        ValueError: No rounds in a row do.
    """
    for first in range(1, len(trace.rounds) - count + 1):
        window = trace.rounds[first : first + count]
        kinds = {r.next_kind for r in window if r.n_accepted}
        if kinds >= {"bonus", "correction"}:
            return first
    raise ValueError(
        f"no {count} rounds in a row have a bonus and a correction after an accepted draft: "
        "choose another PROMPT in tools/figures.py, one that is harder to guess"
    )


def picture(trace: GenerationTrace, path: Path) -> None:
    """Draw the rounds into a PNG file."""
    first = telling_rounds(trace, ROUNDS)
    ax = plots.plot_rounds(trace, first=first, count=ROUNDS)
    ax.set_title(f"Prompt: {PROMPT}", loc="left", fontsize=11)
    save(ax, path)


def save(ax: Axes, path: Path) -> None:
    """Write a drawing into a PNG file of few colours, which is small and holds no date."""
    drawn = BytesIO()
    ax.figure.savefig(drawn, dpi=150, bbox_inches="tight")
    plt.close(ax.figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(drawn).convert("RGB").quantize(64).save(path, optimize=True)


def picture_markdown(trace: GenerationTrace) -> str:
    """Return the picture as HTML, with its alt text, and the caption that says what made it."""
    first, made = telling_rounds(trace, ROUNDS), trace.provenance
    return (
        f"{picture_tag(trace, f'Prompt: {PROMPT}')}\n\n"
        f"Rounds {first} to {first + ROUNDS - 1} of a text that the `{made['pair']}` pair wrote "
        f"in transformers' own loop: greedy decoding, {made['dtype']}, {made['device'].upper()}, "
        f"transformers {made['transformers']}."
    )


def picture_tag(trace: GenerationTrace, prompt: str) -> str:
    """Return the picture with its alt text: the prompt, then the rounds."""
    first = telling_rounds(trace, ROUNDS)
    told = describe_rounds(trace, first=first, count=ROUNDS)
    # Apostrophes may stand as they are: the attribute is in double quotes.
    alt = escape(f"{prompt} {told}").replace("&#x27;", "'")
    # Pieces of words in the alt text are no spelling mistakes.
    return f'<img src="{PICTURE}" alt="{alt}" width="800"> <!-- codespell:ignore -->'


def demo_output() -> str:
    """Return what the demo prints, without its times."""
    # With an encoding, as a terminal has one: the demo asks for it before it prints its signs.
    terminal = TextIOWrapper(BytesIO(), encoding="utf-8")
    with redirect_stdout(terminal):
        command_line(["demo", "--prompt", DEMO_PROMPT])
    terminal.seek(0)
    lines = terminal.read().rstrip("\n").splitlines()
    return "\n".join(line for line in lines if not line.startswith(f"{tr('time')}: "))


def parts(trace: GenerationTrace) -> dict[str, str]:
    """Return every part of README.md that this command writes."""
    return {
        "picture": picture_markdown(trace),
        "demo": f"```text\n{demo_output()}\n```",
        "hardware": hardware.table(),
    }


def japanese_parts(trace: GenerationTrace) -> dict[str, str]:
    """Return the same parts of README.ja.md."""
    first, made = telling_rounds(trace, ROUNDS), trace.provenance
    with speaking("ja"):
        tag, demo = picture_tag(trace, f"プロンプト: {PROMPT}"), demo_output()
    caption = (
        f"`{made['pair']}` ペアが transformers 自身のループで書いたテキストの、"
        f"ラウンド {first} から {first + ROUNDS - 1} です(貪欲デコード、{made['dtype']}、"
        f"{made['device'].upper()}、transformers {made['transformers']})。"
    )
    return {
        "picture": f"{tag}\n\n{caption}",
        "demo": f"```text\n{demo}\n```",
        "hardware": readme_ja.table(hardware.table(), readme_ja.HARDWARE),
    }


def main() -> int:
    """Draw the picture, write the parts, and return the exit code."""
    try:
        trace = rounds_trace()
        picture(trace, ROOT / PICTURE)
        save(plots.plot_idea(), ROOT / IDEA)
        changed = write_parts(README, parts(trace))
        changed |= write_parts(readme_ja.README, japanese_parts(trace))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"drew {PICTURE}; READMEs {'changed' if changed else 'are as they were'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
