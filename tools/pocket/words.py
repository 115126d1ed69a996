"""Words of `data/words.toml` and phrasing helpers that the workloads share.

About one draw in ten is a made-up word, so that a model learns to copy words it has never seen.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from tools.pocket.example import table

PHRASES = table("phrases")
LISTS = {name: listed.split() for name, listed in (table("words") | PHRASES["lists"]).items()}
NUMBERS = PHRASES["numbers"].split()
MADE_UP_SHARE = 0.1
# Common words: those in the phrases of the other tables.
_TEXTS = " ".join(str(table(name)) for name in ("stories", "lists", "answers", "words"))
COMMON = sorted(set(re.findall(r"(?<![\w\\{])[a-z]{3,9}(?![\w}])", _TEXTS)))
_SENTENCES = table("extraction")


def pseudo_word(rng: Random) -> str:
    """Return a pronounceable word that is in no list, such as "tavomel"."""
    onsets, vowels = PHRASES["onsets"].split(), PHRASES["vowels"].split()
    count = rng.choice((2, 2, 3))
    syllables = [rng.choice(onsets) + rng.choice(vowels) for _ in range(count)]
    return "".join(syllables) + rng.choice(PHRASES["codas"])


def pick(rng: Random, words: Sequence[str]) -> str:
    """Draw a word of the list or, one time in ten, a made-up one in the list's letter case."""
    if rng.random() >= MADE_UP_SHARE:
        return rng.choice(words)
    word = pseudo_word(rng)
    return word.capitalize() if words[0][0].isupper() else word


def weighted(rng: Random, weights: Mapping[Any, float]) -> Any:
    """Draw one of the keys as often as its weight says."""
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def full_name(rng: Random) -> str:
    """Return a first and a last name."""
    return f"{name(rng)} {SLOTS['last'](rng)}"


def _several(rng: Random, slot: str) -> str:
    return plural(SLOTS[slot](rng))


SLOTS: dict[str, Callable[[Random], Any]] = {
    **{slot: partial(pick, words=LISTS[listed]) for slot, listed in PHRASES["open"].items()},
    **{slot: partial(Random.choice, seq=LISTS[key]) for slot, key in PHRASES["closed"].items()},
    **{slots: partial(_several, slot=slot) for slots, slot in PHRASES["several"].items()},
    "user": lambda r: name(r).lower() + r.choice(["", "", str(r.randint(1, 999))]),
    "digit": lambda r: r.randint(0, 9), "price": lambda r: round(r.randint(100, 9000) / 100, r.randint(1, 2)),
    "customer": full_name, "full_name": full_name, "pseudo_word": pseudo_word,
}  # fmt: skip
name, thing, animal, job = (SLOTS[slot] for slot in ("name", "thing", "animal", "job"))


def fill(rng: Random, template: str, **given: Any) -> tuple[str, dict[str, Any]]:
    """Fill a template with random words, and return it with all that was drawn.

    A slot is called like one of `SLOTS`; {a_thing} has its article, {Thing} a capital, and {thing2}
    is another one.
    """
    drawn: dict[str, Any] = {"number": rng.randint(2, 90), "number2": rng.randint(2, 90)}
    drawn |= {"hour": rng.randint(6, 22), "minute": rng.randint(10, 59), **given}
    for slot in re.findall(r"{(?:an?_)?(\w+)}", template):
        if slot not in drawn:
            value = SLOTS[slot.rstrip("2").lower()](rng)
            drawn[slot] = value.capitalize() if slot[0].isupper() else value
            drawn[f"a_{slot}"] = drawn[f"an_{slot}"] = a(str(value))
    return spin(rng, template.format(**drawn)), drawn


def sentence(rng: Random) -> str:
    """Return a short sentence, a phrase or, as often, words, names and numbers in any order."""
    if rng.random() < 0.5:
        text = fill(rng, rng.choice(_SENTENCES["phrases"] + _SENTENCES["facts"]))[0]
        return text.rstrip(".") if rng.random() < 0.4 else text
    makers: list[Callable[[Random], str]] = [pseudo_word, name, SLOTS["city"]]
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
    pattern, ending = next(rule for rule in PHRASES["plurals"] if re.search(rule[0], word))
    return re.sub(pattern, ending, word)


def a(word: str) -> str:
    """Return the word after its article."""
    sounds_open = re.match("[aeiouAEIOU]|honest", word) and not word.startswith(("user", "uni"))
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
    if request.split()[0].lower() in PHRASES["fragments"]:
        return request
    forms = next(forms for below, forms in PHRASES["asking"] if roll < below)
    form = rng.choice(forms) if len(forms) > 1 else forms[0]
    casual = request[0].lower() + request[1:]
    return form.replace("{same}", request).replace("{casual}", casual)


def ask_about(rng: Random, request: str, text: str) -> str:
    """Put the text that a request speaks of after it, in one of the usual ways."""
    asked = ask(rng, request)
    if asked.endswith("?"):
        return asked + rng.choice([" ", "\n", "\n\n"]) + text
    return asked.rstrip(".") + rng.choice([": ", ": ", ":\n", ":\n\n"]) + text
