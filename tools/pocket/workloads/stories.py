"""Short stories from a grammar with many near-equal choices: coherent, but hard to guess."""

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
        return _themed(rng, hero, "open_asks" if roll < 0.08 else "themed_asks")
    named = rng.random() < 0.5
    name = words.name(rng) if named else f"the {hero}"
    values = _values(rng, hero, name, named)
    described = f"{values['trait']} {hero}" if rng.random() < 0.3 else hero
    extra = f" {rng.choice(('named', 'named', 'called'))} {name}" if named else ""
    if rng.random() < 0.3:
        extra += " " + rng.choice(SLOTS["clauses"]).format(**values)
    prompt = _ask(rng, "asks", a=_article(described), extra=extra, heroes=words.plural(hero))
    return Example(NAME, prompt, _story(rng, values), {"hero": hero})


def _ask(rng: Random, form: str, **values: str) -> str:
    short = rng.choice(
        ("", "", "short ", "short ", "very short ", "little ", "funny ", "new ", "nice ")
    )
    asked = words.spin(rng, rng.choice(SLOTS[form])).format(
        short=short, end=rng.choice((".", ".", "", "!")), **values
    )
    return asked.replace("a old ", "an old ")


def _themed(rng: Random, hero: str, form: str) -> Example:
    """Draw a story for a prompt that names no hero, but perhaps what it is about."""
    theme = words.fill(rng, rng.choice(SLOTS["themes"]))[0]
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
    """Draw what fills the slots of the sentences; two slots of a kind never hold the same."""
    trait, trait2 = rng.sample(SLOTS["traits"], 2)
    place, place2 = rng.sample(SLOTS["places"], 2)
    gift, gift2 = rng.sample(SLOTS["gifts"], 2)
    feelings = rng.sample(SLOTS["feelings"], 3)
    saying, saying2 = rng.sample(SLOTS["sayings"], 2)
    said, said2 = rng.sample(SLOTS["speaks"], 2)
    helper = rng.choice(SLOTS["helpers"])
    the_helper = "the " + helper.removeprefix("a ").removeprefix("an ")
    return {
        "trait": trait, "hero": hero, "name": name,
        "Name": _capital(name), "them": rng.choice((name, f"the {hero}")),
        "a_trait_hero": _article(f"{trait} {hero}"), "A_trait_hero": _capital(_article(f"{trait} {hero}")), "called": f" called {name}" if named else "",
        "a_trait2": _article(trait2), "A_trait2": _capital(_article(trait2)),
        "place": place, "place2": place2, "wish": rng.choice(SLOTS["wishes"]),
        "problem": rng.choice(SLOTS["problems"]), "lesson": rng.choice(SLOTS["lessons"]),
        "feeling": feelings[0], "feeling2": feelings[1], "feeling3": feelings[2],
        "helper": helper, "Helper": _capital(helper), "the_helper": the_helper,
        "The_helper": _capital(the_helper), "gift": gift, "gift2": gift2,
        "the_gift": "the " + gift.removeprefix("a ").removeprefix("an "),
        "saying": saying, "saying2": saying2, "said": said,
        "said2": said2, "number": rng.randint(2, 9), "number2": rng.randint(10, 40),
        "Number": rng.choice(("Three", "Four", "Five", "Six", "Seven", "Nine", "Ten")),
    }  # fmt: skip


def _story(rng: Random, values: dict[str, object]) -> str:
    """Return five to seven sentences: setting, wish, trouble, help, sometimes more, end."""
    middles = rng.sample(SLOTS["middles"], rng.choice((0, 1, 1, 2)))
    opening = SLOTS["openings"][ord(str(values["hero"])[0].lower()) % len(SLOTS["openings"])]
    patterns = (SLOTS["wants"], SLOTS["troubles"], SLOTS["aids"])
    parts = [
        opening,
        *(rng.choice(choices) for choices in patterns),
        *middles,
        rng.choice(SLOTS["ends"]),
    ]
    sentences = []
    for part in parts:
        deed, deed2 = rng.sample(SLOTS["deeds"], 2)  # drawn anew for each sentence
        fresh = {"deed": deed, "deed2": deed2, "sight": rng.choice(SLOTS["sights"])}
        sentences.append(
            _capital(part.format(**values, **fresh, upset=rng.choice(SLOTS["upsets"])))
        )
    return " ".join(sentences)


def _article(phrase: str) -> str:
    """Return the phrase after its article, with a silent h seen to."""
    return f"an {phrase}" if phrase.startswith("honest") else words.a(phrase)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
