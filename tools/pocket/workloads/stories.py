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
    named = rng.random() < 0.5
    name = words.name(rng) if named else f"the {hero}"
    values = _values(rng, hero, name, named)
    described = f"{values['trait']} {hero}" if rng.random() < 0.3 else hero
    extra = f" {rng.choice(('named', 'named', 'called'))} {name}" if named else ""
    if rng.random() < 0.3:
        extra += " " + rng.choice(SLOTS["clauses"]).format(**values)
    prompt = rng.choice(SLOTS["asks"]).format(
        short=rng.choice(("", "short ", "short ", "very short ", "little ", "funny ", "new ")),
        a=_article(described), extra=extra, end=rng.choice((".", ".", "", "!")),
    )  # fmt: skip
    return Example(NAME, prompt, _story(rng, values), {"hero": hero})


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
        "time": rng.choice(SLOTS["times"]), "trait": trait, "hero": hero, "name": name,
        "Name": _capital(name), "them": rng.choice((name, f"the {hero}")),
        "a_trait_hero": _article(f"{trait} {hero}"), "called": f" called {name}" if named else "",
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
    patterns = (SLOTS["openings"], SLOTS["wants"], SLOTS["troubles"], SLOTS["aids"])
    parts = [rng.choice(choices) for choices in patterns] + middles + [rng.choice(SLOTS["ends"])]
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
