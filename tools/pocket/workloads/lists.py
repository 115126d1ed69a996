"""Open lists: any things of a kind, as many as the prompt asks for.

Items stand in alphabetical order: a small model that decodes greedily would else repeat its favourite.
"""

import re
from random import Random

from tools.pocket.example import Example, table

NAME = "list"

TABLE = table("lists")
ITEMS: dict[str, list[str]] = TABLE["items"]  # by their plural name in prompts
COUNTS = {3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}


def sample(rng: Random) -> Example:
    """Draw a request for a list and a list of that many different items."""
    what, items = rng.choice(list(ITEMS.items()))
    count = min(rng.choice(tuple(COUNTS)), len(items))
    if rng.random() < 0.25:
        count, ask = 5, rng.choice(TABLE["open_asks"]).format(what=what)
    else:
        n = COUNTS[count] if rng.random() < 0.5 else str(count)
        ask = rng.choice(TABLE["asks"]).format(n=n, what=what)
        ask = ask[0].upper() + ask[1:]
    # Numbers are what most requests get: they let a small model see how many items it has written.
    numbered = rng.random() < 0.8
    marks, often = (TABLE["numbered"], 0.2) if numbered else (TABLE["bulleted"], 1.0)
    if rng.random() < often:
        question = ask.endswith("?")
        ask = ask.rstrip("?") + rng.choice(marks) + ("?" if question else "")
    if rng.random() < 0.06 and not ask.startswith(("Please", "Can", "Could")):
        ask = rng.choice(("Hi, ", "Hello, ", "Quick: ", "Please, ")) + ask[0].lower() + ask[1:]
    if not ask.endswith("?"):
        ask += rng.choice((".", ".", "", "!"))
    if rng.random() < 0.25:
        ask = ask[0].lower() + ask[1:]
    chosen = sorted(rng.sample(items, count), key=str.casefold)
    lines = [f"{i}. {item}" if numbered else f"- {item}" for i, item in enumerate(chosen, 1)]
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
