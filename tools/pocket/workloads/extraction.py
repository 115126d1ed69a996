"""Copying, extracting and rewriting text that stands in the prompt itself."""

import re
from dataclasses import dataclass
from random import Random

from tools.pocket import words
from tools.pocket.example import Example, is_the_answer, table

NAME = "rewrite"
LONG_SHARE = 0.1
TABLE = table("extraction")
grade = is_the_answer


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence and the names and cities that it mentions, in order."""

    text: str
    names: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()


def sample(rng: Random) -> Example:
    """Draw a task and a text for it."""
    prompt, answer = globals()[f"_{words.weighted(rng, TABLE['tasks'])}"](rng)
    return Example(NAME, prompt, answer)


def _fact(rng: Random, who: str = "") -> Fact:
    """Return a sentence of recombined names, places, things and numbers."""
    template = rng.choice(TABLE["facts"])
    text, drawn = words.fill(rng, template, **({"person": who} if who else {}))
    while drawn.get("person") == drawn.get("other", ""):
        text, drawn = words.fill(rng, template)
    told = {key: str(drawn[key]) for key in ("person", "other", "city") if f"{{{key}}}" in template}
    city = told.pop("city", None)
    return Fact(text, tuple(told.values()), (city,) if city else ())


def _text(rng: Random, least: int = 1, most: int = 5, who: str = "") -> list[Fact]:
    count = rng.randint(10, 14) if rng.random() < LONG_SHARE else rng.randint(least, most)
    return [_fact(rng, who if rng.random() < 0.5 else "") for _ in range(count)]


def _write(facts: list[Fact]) -> str:
    return " ".join(fact.text for fact in facts)


def _copy(rng: Random) -> tuple[str, str]:
    text = _write(_text(rng, rng.choice([1, 1, 2, 3]), 6))
    one = text.count(". ") == 0
    what = "[sentence|sentence|text|line]" if one else "[text|passage|paragraph]"
    request = TABLE["copy"].replace("{what}", what)
    if rng.random() < 0.2:
        request = TABLE["copy_bare" if rng.random() < 0.5 else "copy_short"]
    return words.ask_about(rng, words.spin(rng, request), text), text


def _say(rng: Random) -> tuple[str, str]:
    """Copy a few words, often with nothing but one word as the request."""
    text = words.sentence(rng)
    request = rng.choice(TABLE["copy_inline"]) if rng.random() < 0.5 else "{bare}"
    if request == "{bare}":
        mark = rng.choice(TABLE["copy_marks"])
        bare = words.spin(rng, TABLE["copy_bare"] + "[||, please]")
        return bare + mark + text, text
    quote = rng.choice("''\"\"`") if "'" not in text else '"'
    request = words.spin(rng, request)
    if "{text}" in request:
        text = text.rstrip(".!?")
    return request.format(text=text, quoted=f"{quote}{text}{quote}"), text


def _number(rng: Random) -> tuple[str, str]:
    fact, found = "", []
    while len(found) != 1 or ":" in fact:
        fact = _fact(rng).text
        found = re.findall(r"\d+", fact)
    return _about(rng, _request(rng, TABLE["number"]), fact), found[0]


def _request(rng: Random, template: str) -> str:
    this = TABLE["this" if rng.random() < 0.6 else "short_this"]
    return words.spin(rng, template.replace("{this}", this))


def _distinct_of(facts: list[Fact], kind: str) -> list[str]:
    return list(dict.fromkeys(item for fact in facts for item in getattr(fact, kind)))


def _names(rng: Random) -> tuple[str, str]:
    facts: list[Fact] = []
    least = rng.choice((1, 1, 2))
    while not _distinct_of(facts, "names"):
        facts = _text(rng, least, 5 if least > 1 else 2)
    request = _request(rng, rng.choice(TABLE["names"]))
    return _about(rng, request, _write(facts)), ", ".join(_distinct_of(facts, "names"))


def _about(rng: Random, request: str, text: str) -> str:
    """As `ask_about`, but a question stays as it is."""
    quoted = re.sub(TABLE["text_names"], f"the text '{text}'", request.replace(" below", ""))
    if rng.random() < 0.12 and "'" not in text and quoted.count(text) == 1:
        return quoted
    if not request.endswith("?"):
        return words.ask_about(rng, request, text)
    return rng.choice([request, request[:-1] + ":"]) + rng.choice([" ", "\n"]) + text


def _cities(rng: Random) -> tuple[str, str]:
    cities: list[str] = []
    while not cities:
        facts = _text(rng, 1, 4)
        cities = _distinct_of(facts, "cities")
    request = TABLE["city" if len(cities) == 1 else "cities"]
    request = words.spin(rng, request.replace("{this}", TABLE["this_or_sentence"]))
    if len(facts) > 1:
        request = request.replace("this sentence", "this text")
    return _about(rng, request, _write(facts)), ", ".join(cities)


def _quote(rng: Random) -> tuple[str, str]:
    facts = _text(rng, 2, 6)
    index = rng.randrange(min(len(facts), 5))
    ordinal = "last" if rng.random() < 0.2 else TABLE["ordinals"][index]
    answer = facts[-1] if ordinal == "last" else facts[index]
    request = TABLE["quote_question" if rng.random() < 0.2 else "quote"]
    return _about(rng, _request(rng, request).replace("{o}", ordinal), _write(facts)), answer.text


def _replace(rng: Random) -> tuple[str, str]:
    """Replace a name, or any word of a text or of a short phrase."""
    old, new = words.name(rng), words.name(rng)
    named = [fact for fact in (_fact(rng, old) for _ in range(40)) if old in fact.names]
    text = _write([rng.choice(named), *_text(rng, 1, 4, old)])
    if rng.random() < 0.45:
        text = words.sentence(rng) if rng.random() < 0.4 else _write(_text(rng, 1, 5))
        old = rng.choice([w for w in re.findall(r"\w+", text) if len(w) > 2] or ["the"])
        new = rng.choice([words.thing(rng), words.SLOTS["colour"](rng), words.pseudo_word(rng)])
    request = _request(rng, rng.choice(TABLE["replace"])).format(old=old, new=new)
    return words.ask_about(rng, request, text), re.sub(rf"\b{old}\b", new, text)


def _items(rng: Random, least: int, most: int) -> list[str]:
    pool = words.LISTS[rng.choice(TABLE["pools"])]
    return words.distinct(rng, pool, rng.randint(least, most))


def _reshape(rng: Random) -> tuple[str, str]:
    """Write the items of a list otherwise: numbered, with bullets, on lines, the other way round."""
    items, kind = _items(rng, 3, 9), rng.choice(list(TABLE["reshape"]))
    answers = {
        "numbered": "\n".join(f"{i}. {item}" for i, item in enumerate(items, 1)),
        "bulleted": "\n".join(f"- {item}" for item in items),
        "lines": "\n".join(items),
        "reversed": ", ".join(reversed(items)),
    }
    listing = rng.choice([", ".join(items), ", ".join(items) + ".", words.joined(items)])
    request = words.spin(rng, TABLE["reshape"][kind])
    return words.ask_about(rng, request, listing), answers[kind]


def _detail(rng: Random) -> tuple[str, str]:
    """Hide an address, a date, a phone number or a price in a text and ask for it."""
    drawn = rng.choice(TABLE["carriers"])
    value, _ = words.fill(rng, rng.choice(TABLE["values"][drawn["value"]]))
    carrier, _ = words.fill(rng, rng.choice(drawn["says"]) + ".", v=value)
    facts = [f.text for f in _text(rng, 0, 3) if "dollars" not in f.text]
    facts.insert(rng.randint(0, len(facts)), carrier)
    request = _request(rng, TABLE["detail"]).replace("{what}", drawn["what"])
    return _about(rng, request, " ".join(facts)), value


def _capitals(rng: Random) -> tuple[str, str]:
    some = " ".join(_items(rng, 1, 4)) if rng.random() < 0.5 else words.sentence(rng)
    lower, text = rng.random() < 0.25, some.lower()
    shown, answer = (text.upper(), text) if lower else (text, text.upper())
    request = TABLE["capitals"].replace("{kind}", TABLE["lower" if lower else "upper"])
    if " " not in text:
        request = request.replace("these words|", "this word|").replace("the words", "the word")
    if rng.random() < 0.3:
        request = TABLE["capitals_inline"].replace("{kind}", TABLE["lower" if lower else "upper"])
        return words.spin(rng, request).replace("{text}", shown), answer
    return words.ask_about(rng, words.spin(rng, request), shown), answer


def _full_stop(rng: Random) -> tuple[str, str]:
    text = _write([_fact(rng) for _ in range(rng.randint(1, 3))])
    return words.ask_about(rng, words.spin(rng, TABLE["full_stop"]), text[:-1]), text


def _repeated(rng: Random) -> tuple[str, str]:
    makers = (words.pseudo_word, words.thing, lambda r: r.choice(words.COMMON))
    text = " ".join(rng.choice(makers)(rng) for _ in range(rng.choice((1, 1, 2, 3, 4))))
    count = rng.randint(2, 6)
    request = TABLE["quoted_word"].replace("{text}", text)
    request = request.replace("{count}", rng.choice((str(count), words.NUMBERS[count])))
    if " " not in text:
        request = request.replace("the words", "the word")
    return words.ask(rng, words.spin(rng, request)), "\n".join([text] * count)
