"""Read a file of prompts: plain text, one to a line, or JSON lines that also name a workload."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.encoding import half_character


class PromptFileError(ValueError):
    """A file of prompts cannot be used."""


@dataclass(frozen=True, slots=True)
class NumberedPrompt:
    """A prompt of a file.

    Attributes:
        key: What tells it from all others of its file; it changes when place or text does.
        prompt: A user's message.
        workload: What kind of text it asks for.
    """

    key: str
    prompt: str
    workload: str


def read_prompts(path: Path) -> list[NumberedPrompt]:
    """Return the prompts of a file; empty lines are left out.

    A line that begins with `{` is JSON with `prompt` and, if you like, `workload`; any other is the
    prompt itself. A JSON array is refused: it would be read as one prompt.

    Raises:
        PromptFileError: There is no such file, or no prompt in it, or a line is not readable.
    """
    try:
        # Notepad begins a file with a mark; JSON may hold what `splitlines` takes for an end.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptFileError(
            tr(
                "cannot read {name} ({error}): need a UTF-8 text file with one prompt to a line",
                name=path.name,
                error=error,
            )
        ) from error
    numbered = [
        _prompt(line.strip(), number) for number, line in enumerate(lines, 1) if line.strip()
    ]
    if not numbered:
        raise PromptFileError(tr("{name} holds no prompt, need one to a line", name=path.name))
    return numbered


def _prompt(line: str, number: int) -> NumberedPrompt:
    prompt, workload = line, "all"
    if line.startswith(("{", "[{")) or line == "[" or _is_array(line):
        try:
            record = json.loads(line)
            prompt, workload = record["prompt"], record.get("workload", workload)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise PromptFileError(
                tr(
                    'line {number} is {line!r}, need JSON such as {{"prompt": "Hello!", '
                    '"workload": "chat"}}',
                    number=number,
                    line=line[:60],
                )
            ) from error
        if not (_is_text(prompt) and prompt.strip() and _is_text(workload)):
            raise PromptFileError(
                tr(
                    "line {number} has prompt {prompt!r} and workload {workload!r}, need two texts",
                    number=number,
                    prompt=prompt,
                    workload=workload,
                )
            )
    digest = hashlib.sha256(f"{workload}\n{prompt}".encode()).hexdigest()
    return NumberedPrompt(f"{number}-{digest[:12]}", prompt, workload)


def _is_array(line: str) -> bool:
    """Say whether a line is a JSON array; a prompt may begin with a bracket too."""
    try:
        return line.startswith("[") and isinstance(json.loads(line), list)
    except (ValueError, RecursionError):
        return False


def _is_text(value: object) -> bool:
    """Say whether this is a text that can be written: no half of a character in it."""
    return isinstance(value, str) and half_character(value) is None
