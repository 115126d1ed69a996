"""Open lists: any things of a kind, as many as the prompt asks for.

A list holds the first things of its kind: what is left to learn then is when to stop.
"""

import re
from random import Random

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "list"

TABLE = table("lists")
ITEMS: dict[str, list[str]] = TABLE["items"]  # by their plural name in prompts
NAMES = [*ITEMS, *TABLE["also"]]


def sample(rng: Random) -> Example:
    """Draw a request for a list and a list of that many different items."""
    what = rng.choice(NAMES)
    items = ITEMS[TABLE["also"].get(what, what)]
    count = min(rng.choice((2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 10, 10, 11, 12)), len(items))
    if rng.random() < 0.25:
        count, ask = 5, words.spin(rng, rng.choice(TABLE["open_asks"])).format(what=what)
    else:
        n = words.NUMBERS[count] if rng.random() < 0.5 else str(count)
        ask = words.spin(rng, rng.choice(TABLE["asks"])).format(n=n, what=what)
        ask = ask[0].upper() + ask[1:]
    # Numbers are what most requests get: they let a small model see how many items it has written.
    numbered = rng.random() < 0.85
    marks, often = (TABLE["numbered"], 0.2) if numbered else (TABLE["bulleted"], 1.0)
    if rng.random() < often:
        asked = ask.rstrip("?")
        ask = asked.replace(", please", "") + rng.choice(marks) + ask[len(asked) :]
    if not ask.endswith("?"):
        ask += rng.choice((".", ".", "", "!"))
    chosen = enumerate(items[:count], 1)
    lines = [f"{i}. {item}" if numbered else f"- {item}" for i, item in chosen]
    return Example(NAME, ask, "\n".join(lines), {"count": count, "numbered": numbered})


def grade(example: Example, text: str) -> dict[str, bool]:
    """A list has the number of lines that was asked for, each marked, none twice."""
    lines = text.strip().splitlines()
    mark = r"\d+\. \S" if example.spec["numbered"] else r"- \S"
    items = [re.sub(r"^(\d+\.|-) ", "", line) for line in lines]
    return {
        "count": len(lines) == example.spec["count"]
        and all(re.match(mark, line) for line in lines),
        "distinct": len(set(items)) == len(items),
    }
