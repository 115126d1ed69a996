"""What fingers do to a prompt: greetings, other capitals, typos, marks that are lost or doubled.

A word that stands in the answer or twice in the prompt stays as it is, for it is content.
"""

import re
from collections.abc import Callable
from random import Random

from tools.pocket.example import Example, table

HABITS = table("typing")
# Their prompts may be shouted, but for names in code; elsewhere the case of a word may be content.
SHOUTED = ("qa", "list", "chat", "story", "arithmetic", "code")
CONTENT_LAST = ("rewrite", "json")


def typed(rng: Random, example: Example) -> Example:
    """Return the example with its prompt as some person might have typed it."""
    prompt = example.prompt
    if not (prompt.isascii() and re.search("[a-z]{2}", prompt)):
        return example
    if rng.random() < 0.16 and prompt.count(" ") > 1:
        prompt = _greeted(rng, prompt, example.workload)
    roll = rng.random()
    if roll < 0.12:
        prompt = _each_word(prompt, example.answer, str.lower)
    elif roll < 0.21 and example.workload in SHOUTED and not re.search("[`_(]", prompt):
        prompt = prompt.upper()
    elif roll < 0.25:
        prompt = _each_word(prompt, example.answer, str.upper)
    if rng.random() < 0.13:
        prompt = _misspelt(rng, prompt, example.answer)
    if rng.random() < 0.1 and example.workload not in CONTENT_LAST:
        prompt = prompt.rstrip(".!? ") + rng.choice(HABITS["marks"])
    return Example(example.workload, prompt.strip() or example.prompt, example.answer, example.spec)


def _greeted(rng: Random, prompt: str, workload: str) -> str:
    soft = rng.random() < 0.6 and prompt[1].islower()
    if workload in CONTENT_LAST or workload == "chat" or rng.random() < 0.6:
        return (
            rng.choice(HABITS["before"]) + (prompt[0].lower() if soft else prompt[0]) + prompt[1:]
        )
    return prompt.rstrip(".!") + rng.choice(HABITS["after"])


def _is_content(word: str, prompt: str, answer: str) -> bool:
    found = rf"(?i)(?<![a-z]){re.escape(word)}(?![a-z])"
    return bool(re.search(found, answer)) or len(re.findall(found, prompt)) > 1


def _each_word(prompt: str, answer: str, change: Callable[[str], str]) -> str:
    """Apply `change` to every word that is no content."""
    return re.sub(
        "[A-Za-z]+",
        lambda m: m[0] if _is_content(m[0], prompt, answer) else change(m[0]),
        prompt,
    )


def _misspelt(rng: Random, prompt: str, answer: str) -> str:
    """Misspell one or two words, or write them as short messages do."""
    for _ in range(rng.choice((1, 1, 2))):
        found = [
            m for m in re.finditer("[A-Za-z']+", prompt) if not _is_content(m[0], prompt, answer)
        ]
        short = [m for m in found if m[0].lower() in HABITS["short"]]
        long = [m for m in found if len(m[0]) > 3]
        if short and (not long or rng.random() < 0.4):
            word = rng.choice(short)
            new = rng.choice(HABITS["short"][word[0].lower()].split("|"))
        elif long:
            word = rng.choice(long)
            new = _slip(rng, word[0])
        else:
            break
        prompt = prompt[: word.start()] + new + prompt[word.end() :]
    return prompt


def _slip(rng: Random, word: str) -> str:
    """Return the word with two letters swapped, or one lost, doubled or hit beside."""
    at = rng.randrange(1, len(word) - 1)
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    near = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuiopqsdfghjklaxcvbnmz", strict=True))
    slips = [swapped, word[:at] + word[at + 1 :], word[: at + 1] + word[at:]]
    return rng.choice([*slips, word[:at] + near.get(word[at], "e") + word[at + 1 :]])
