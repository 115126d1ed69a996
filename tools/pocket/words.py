"""Words of `data/words.toml` and phrasing helpers that the workloads share.

About one draw in ten is a made-up word, so that a model learns to copy words it has never seen.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from tools.pocket.example import table

_LISTS = {name: listed.split() for name, listed in table("words").items()}
FIRST_NAMES = _LISTS["first_names"]
LAST_NAMES = _LISTS["last_names"]
CITIES = _LISTS["cities"]
OBJECTS = _LISTS["objects"]
COLOURS = _LISTS["colours"]
MATERIALS = _LISTS["materials"]
JOBS = _LISTS["jobs"]
ANIMALS = _LISTS["animals"]
FOODS = _LISTS["foods"]
HOBBIES = _LISTS["hobbies"]
ADJECTIVES = _LISTS["adjectives"]
COUNTRIES = _LISTS["countries"]
DAYS = _LISTS["days"]
MONTHS = _LISTS["months"]
WEATHER = "sunny rainy cloudy windy snowy".split()
DAYTIMES = ["morning", "night", "evening", "day"]
MADE_UP_SHARE = 0.1
# Common words: those in the phrases of the other tables.
_TEXTS = " ".join(str(table(name)) for name in ("stories", "lists", "answers", "words"))
COMMON = sorted(set(re.findall(r"(?<![\w\\{])[a-z]{3,9}(?![\w}])", _TEXTS)))
_SENTENCES = table("extraction")


def pseudo_word(rng: Random) -> str:
    """Return a pronounceable word that is in no list, such as "tavomel"."""
    syllables = [
        rng.choice("b c d f g h j k l m n p r s t v w z br dr gl kr pl st tr sh th".split())
        + rng.choice("a e i o u a e i o ea ai ou".split())
        for _ in range(rng.choice((2, 2, 3)))
    ]
    return "".join(syllables) + rng.choice(["", "", "l", "n", "r", "s", "m", "x", "nd", "sk"])


def pick(rng: Random, words: Sequence[str]) -> str:
    """Draw a word of the list or, one time in ten, a made-up one in the list's letter case."""
    if rng.random() >= MADE_UP_SHARE:
        return rng.choice(words)
    word = pseudo_word(rng)
    return word.capitalize() if words[0][0].isupper() else word


def colour(rng: Random) -> str:
    """Return a colour."""
    return rng.choice(COLOURS)


name, last_name = partial(pick, words=FIRST_NAMES), partial(pick, words=LAST_NAMES)
city, country = partial(pick, words=CITIES), partial(pick, words=COUNTRIES)
thing, material = partial(pick, words=OBJECTS), partial(pick, words=MATERIALS)
job, hobby = partial(pick, words=JOBS), partial(pick, words=HOBBIES)
animal, food = partial(pick, words=ANIMALS), partial(pick, words=FOODS)


SLOTS: dict[str, Callable[[Random], Any]] = {
    "person": name, "other": name, "last": last_name, "animals": lambda r: plural(animal(r)),
    "things": lambda r: plural(thing(r)), "many": lambda r: plural(thing(r)),
    "adjective": lambda r: r.choice(ADJECTIVES), "day": lambda r: r.choice(DAYS),
    "month": lambda r: r.choice(MONTHS), "daytime": lambda r: r.choice(DAYTIMES),
    "user": lambda r: name(r).lower() + r.choice(["", "", str(r.randint(1, 999))]),
    "digit": lambda r: r.randint(0, 9), "price": lambda r: round(r.randint(100, 9000) / 100, r.randint(1, 2)),
    "customer": lambda r: full_name(r), "weather": lambda r: r.choice(WEATHER),
}  # fmt: skip


def full_name(rng: Random) -> str:
    """Return a first and a last name."""
    return f"{name(rng)} {last_name(rng)}"


def fill(rng: Random, template: str, **given: Any) -> tuple[str, dict[str, Any]]:
    """Fill a template with random words, and return it with all that was drawn.

    A slot is called like a maker of this module or like one of `SLOTS`; {a_thing} has its article,
    {Thing} a capital, and {thing2} is another one.
    """
    drawn: dict[str, Any] = {"number": rng.randint(2, 90), "number2": rng.randint(2, 90)}
    drawn |= {"hour": rng.randint(6, 22), "minute": rng.randint(10, 59), **given}
    for slot in re.findall(r"{(?:an?_)?(\w+)}", template):
        if slot not in drawn:
            key = slot.rstrip("2").lower()
            value = (SLOTS.get(key) or globals()[key])(rng)
            drawn[slot] = value.capitalize() if slot[0].isupper() else value
            drawn[f"a_{slot}"] = drawn[f"an_{slot}"] = a(str(value))
    return spin(rng, template.format(**drawn)), drawn


def sentence(rng: Random) -> str:
    """Return a short sentence, a phrase or, as often, words, names and numbers in any order."""
    if rng.random() < 0.5:
        text = fill(rng, rng.choice(_SENTENCES["phrases"] + _SENTENCES["facts"]))[0]
        return text.rstrip(".") if rng.random() < 0.4 else text
    makers: list[Callable[[Random], str]] = [pseudo_word, name, city]
    makers += [lambda r: str(r.randint(0, 999))]
    makers += [lambda r: r.choice(COMMON)] * rng.choice((3, 6, 20))
    texts = [rng.choice(makers)(rng) for _ in range(rng.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10)))]
    return " ".join(text + rng.choice([""] * 14 + [",", "!"]) for text in texts).strip(",")


def distinct(rng: Random, words: Sequence[str], count: int) -> list[str]:
    """Return `count` different words of the list, some of them made up."""
    chosen: list[str] = []
    while len(chosen) < count:
        word = pick(rng, words)
        if word not in chosen:
            chosen.append(word)
    return chosen


def plural(word: str) -> str:
    """Return the plural of a regular noun."""
    if word.endswith(("s", "x", "sh", "ch")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    if word.endswith("fe"):
        return word[:-2] + "ves"
    if word.endswith("lf"):
        return word[:-1] + "ves"
    return {"mouse": "mice", "goose": "geese"}.get(word, word + "s")


def a(word: str) -> str:
    """Return the word after its article."""
    sounds_open = word[0].lower() in "aeiou" and not word.startswith(("user", "uni"))
    return f"{'an' if sounds_open else 'a'} {word}"


def joined(words: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def spin(rng: Random, template: str) -> str:
    """Replace each `[a|b|c]`, innermost first, by one of its parts; `[a|]` is an optional part."""
    while "[" in template:
        template = re.sub(r"\[([^\[\]]*)\]", lambda m: rng.choice(m[1].split("|")), template)
    return re.sub(" +", " ", template).strip()


def ask(rng: Random, request: str) -> str:
    """Turn an imperative without a final stop into a plain, polite, casual or asking prompt."""
    roll = rng.random()
    casual = request[0].lower() + request[1:]
    if roll < 0.45:
        return request + "."
    if roll < 0.60:
        return request
    if roll < 0.70:
        return f"Please {casual}."
    if roll < 0.74:
        return f"{request}, please."
    if roll < 0.88:
        openers = "Can you|Could you|Can you please|Could you please|Would you"
        return f"{rng.choice(openers.split('|'))} {casual}?"
    if roll < 0.91:
        return f"{rng.choice(('I need you to', 'I want you to', 'I would like you to'))} {casual}."
    forms = "{}|{}|please {}|can you {}?|{} please"
    return rng.choice(forms.split("|")).replace("{}", casual)


def ask_about(rng: Random, request: str, text: str) -> str:
    """Put the text that a request speaks of after it, in one of the usual ways."""
    asked = ask(rng, request)
    if asked.endswith("?"):
        return asked + rng.choice([" ", "\n", "\n\n"]) + text
    return asked.rstrip(".") + rng.choice([": ", ": ", ":\n", ":\n\n"]) + text
