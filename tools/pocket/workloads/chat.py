"""Small talk, and honesty about all that a pocket-sized model cannot do, by kind."""

from random import Random
from typing import Any

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "chat"
TALK = table("chat")
SMALL_TALK = TALK["small_talk"]
KINDS: dict[str, dict[str, Any]] = {kind["kind"]: kind for kind in TALK["honest"]}
HONEST = {kind["answer"] for kind in TALK["honest"]}
LANGUAGES = [text.strip().replace("\n", "|").split("|") for text in table("languages").values()]
KEYS = TALK["keys"].split()
MARKS = TALK["marks"].split()
SAID = {said.casefold() for talk in SMALL_TALK for said in talk["said"]}


def sample(rng: Random) -> Example:
    """Draw small talk, or a kind of prompt that lies outside of the model's lessons."""
    if rng.random() < 0.25:
        talk = rng.choice(SMALL_TALK)
        prompt = rng.choice(talk["said"]) + rng.choice(("", "", ".", "!", "?"))
        return Example(NAME, prompt, talk["answer"])
    (kind,) = rng.choices(list(KINDS), weights=[kind["share"] for kind in KINDS.values()])
    makers = {"english": _foreign, "nonsense": _nonsense, "empty": _empty}
    prompt = "hello"
    while prompt.casefold().rstrip("?.!") in SAID:
        prompt = makers[kind](rng) if kind in makers else _prompt(rng, kind)
    return Example(NAME, prompt, KINDS[kind]["answer"])


def grade(example: Example, text: str) -> dict[str, bool]:
    """Small talk has one right answer; of the honest ones, any will do."""
    said = text.strip()
    return {"right": said == example.answer or (example.answer in HONEST and said in HONEST)}


def _prompt(rng: Random, kind: str) -> str:
    """Fill a template; a command may become a polite one."""
    template = rng.choice(KINDS[kind]["asks"]).replace("{fact}", rng.choice(TALK["facts"]))
    template = template.replace("{about}", rng.choice(TALK["subject_asks"]))
    prompt = words.spin(rng, _fill(rng, words.spin(rng, template), KINDS[kind])).replace(" ?", "?")
    if kind in TALK["commands"] and prompt[-1] != "?" and ":" not in prompt:
        return rng.choice(TALK["polite"]).format(x=prompt, y=prompt[0].lower() + prompt[1:])
    if kind in ("facts", "you") and rng.random() < 0.15:
        return rng.choice(TALK["openers"]) + prompt
    return prompt


def _fill(rng: Random, template: str, kind: dict[str, Any]) -> str:
    own = {key: rng.choice(some) for key, some in kind.items() if isinstance(some, list)}
    for key in ("language", "title", "subject"):
        own[key] = rng.choice(TALK[f"{key}s"])
    if rng.random() < 0.1:
        own["subject"] = words.pseudo_word(rng)
    own["x"] = rng.choice(TALK["others"]) if rng.random() < 0.35 else own["subject"]
    template = template.replace("{x}", str(own["x"]))
    own |= {"year": rng.randint(1500, 2025), "hour": rng.randint(1, 12)}
    own |= {"n": rng.randint(2, 99), "m": rng.randint(2, 9)}
    own |= {"big": rng.randint(13, 99) * rng.choice((1, 3, 10)), "big2": rng.randint(13, 99)}
    own["words"] = ", ".join(words.distinct(rng, words.COMMON, rng.randint(2, 5)))
    return words.fill(rng, template, **own | {"text": words.sentence(rng)})[0]


def _foreign(rng: Random) -> str:
    """Return a sentence of another language, parts of two, or some of the words of one."""
    first, second = rng.sample(rng.choice(LANGUAGES), 2)
    gap = " " if " " in first + second else ""
    roll = rng.random()
    if roll < 0.5:
        return first
    if roll < 0.6:
        return f"{first} {second}"
    parts, others = (text.split() if gap else list(text) for text in (first, second))
    if roll < 0.75 and len(parts) > 2:
        start = rng.randrange(len(parts) - 2)
        return gap.join(parts[start : start + rng.randint(3, 7)])
    return gap.join(parts[: rng.randint(1, len(parts))] + others[rng.randrange(len(others)) :])


def _nonsense(rng: Random) -> str:
    """Return made-up words, keys hit at random, or English words without sense."""
    makers = [
        words.pseudo_word,
        lambda r: "".join(r.choice(r.choice(KEYS)) for _ in range(r.randint(3, 9))),
        lambda r: r.choice(KEYS)[:: r.choice((1, -1))][r.randrange(3) :][: r.randint(3, 9)],
        lambda r: "".join(r.choices("abcdefghijklmnopqrstuvwxyz", k=r.randint(3, 8))),
        lambda r: f"{r.choice(words.COMMON)} {r.choice(words.COMMON)}",
    ]
    mixed, maker = rng.random() < 0.2, rng.choice(makers)
    count = rng.choice((1, 1, 2, 2, 3, 4, 5))
    return " ".join((rng.choice(makers) if mixed else maker)(rng) for _ in range(count))


def _empty(rng: Random) -> str:
    """Return nothing but marks."""
    mark, some = rng.choice(MARKS), "".join(rng.choices(MARKS, k=rng.randint(1, 4)))
    return rng.choice([mark, mark * rng.randint(1, 6), some, f"{mark} {mark}"])
