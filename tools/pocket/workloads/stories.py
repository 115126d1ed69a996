"""Short stories from a grammar with many near-equal choices: coherent, but hard to guess."""

import re
from random import Random

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "story"
SLOTS = table("stories")

MADE_UP_HEROES = 0.1  # on top of the made-up words that `words` draws


def sample(rng: Random) -> Example:
    """Draw a request for a story and a story that keeps its hero, name and wish."""
    hero = _hero(rng)
    roll = rng.random()
    if roll < 0.3:
        return _themed(rng, "open_asks" if roll < 0.08 else "themed_asks")
    named = rng.random() < 0.5
    name = words.name(rng) if named else f"the {hero}"
    values = _values(rng, hero, name, named)
    described = f"{values['trait']} {hero}" if rng.random() < 0.3 else hero
    extra = f" {rng.choice(('named', 'named', 'called'))} {name}" if named else ""
    if rng.random() < 0.3:
        extra += " " + rng.choice(SLOTS["clauses"]).format(**values)
    prompt = _ask(rng, "asks", a=words.a(described), extra=extra, heroes=words.plural(hero))
    return Example(NAME, prompt, _story(rng, values), {"hero": hero})


def _ask(rng: Random, form: str, **values: str) -> str:
    short, asked = (
        rng.choice(words.PHRASES["story_sizes"]),
        words.spin(rng, rng.choice(SLOTS[form])),
    )
    asked = asked.format(short=short, end=rng.choice(SLOTS["stops"]), **values)
    return asked.replace("a old ", "an old ")


def _themed(rng: Random, form: str) -> Example:
    """Draw a story for a prompt that names no hero, but perhaps what it is about."""
    theme = words.fill(rng, rng.choice(SLOTS["themes"]))[0]
    hero = rng.choice(words.LISTS["animals"])  # never a made-up word, which no prompt gave
    story = _story(rng, _values(rng, hero, f"the {hero}", named=False))
    if form == "open_asks":
        return Example(NAME, _ask(rng, form), story, {"hero": ""})
    story = f"{SLOTS['themed'].format(theme=theme)} {story}"
    return Example(NAME, _ask(rng, form, theme=theme), story, {"hero": theme})


def grade(example: Example, text: str) -> dict[str, bool]:
    """A story ends with a full stop and is about its hero."""
    stripped = text.strip()
    return {
        "complete": stripped.endswith((".", "!", '"')),
        "on_topic": example.spec["hero"] in stripped,
    }


def _hero(rng: Random) -> str:
    if rng.random() < MADE_UP_HEROES:
        return words.pseudo_word(rng)
    return rng.choice((words.animal, words.animal, words.job, words.thing))(rng)


def _values(rng: Random, hero: str, name: str, named: bool) -> dict[str, object]:
    """Draw what fills the slots of the sentences; two slots of a kind never hold the same.

    {gift}, {gift2} and {gift3} are three gifts, {a_gift} and {A_gift} have another article,
    {the_gift} and {The_gift} the definite one.
    """
    values = {"hero": hero, "name": name, "them": rng.choice((name, f"the {hero}"))}
    for kind in SLOTS["kinds"]:
        for number, value in zip(("", "2", "3"), rng.sample(SLOTS[f"{kind}s"], 3), strict=True):
            values[f"{kind}{number}"] = value
            values[f"the_{kind}{number}"] = "the " + re.sub("^an? ", "", value)
            values[f"a_{kind}{number}"] = words.a(value)
    values |= {"a_trait_hero": words.a(f"{values['trait']} {hero}")}
    values |= {key[0].upper() + key[1:]: _capital(value) for key, value in values.items()}
    values |= {"called": f" called {name}" if named else "", "number2": str(rng.randint(10, 40))}
    return values | {"number": rng.randint(2, 9), "Number": rng.choice(SLOTS["numbers"].split())}


def _story(rng: Random, values: dict[str, object]) -> str:
    """Return five to seven sentences: setting, wish, trouble, help, sometimes more, end."""
    middles = rng.sample(SLOTS["middles"], rng.choice((0, 1, 1, 2)))
    opening = SLOTS["openings"][ord(str(values["hero"])[0].lower()) % len(SLOTS["openings"])]
    parts = [opening, *(rng.choice(SLOTS[part]) for part in ("wants", "troubles", "aids"))]
    parts += [*middles, rng.choice(SLOTS["ends"])]
    sentences = []
    for part in parts:
        deed, deed2 = rng.sample(SLOTS["deeds"], 2)  # drawn anew for each sentence
        fresh = {"deed": deed, "deed2": deed2, "sight": rng.choice(SLOTS["sights"])}
        fresh["upset"] = rng.choice(SLOTS["upsets"])
        sentences.append(_capital(part.format(**values, **fresh)))
    return " ".join(sentences)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
