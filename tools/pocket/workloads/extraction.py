"""Copying, extracting and rewriting text that stands in the prompt itself."""

import re
from dataclasses import dataclass
from random import Random

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "rewrite"
LONG_SHARE = 0.1
TABLE = table("extraction")


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence and the names and cities that it mentions, in order."""

    text: str
    names: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()


def sample(rng: Random) -> Example:
    """Draw a task and a text for it."""
    tasks = {
        _copy: 18, _say: 24, _replace: 18, _numbered: 8, _one_per_line: 4, _names: 10, _cities: 7,
        _detail: 11, _number: 5, _quote: 9, _capitals: 6, _full_stop: 3, _quoted_word: 4, _reorder: 3,
    }  # fmt: skip
    (task,) = rng.choices(list(tasks), weights=list(tasks.values()))
    prompt, answer = task(rng)
    return Example(NAME, prompt, answer)


def grade(example: Example, text: str) -> dict[str, bool]:
    """Compare with the one right answer."""
    return {"right": text.strip() == example.answer}


def _fact(rng: Random, who: str = "") -> Fact:
    """Return a sentence of recombined names, places, things and numbers."""
    template = rng.choice(TABLE["facts"])
    text, drawn = words.fill(rng, template, **({"person": who} if who else {}))
    while drawn.get("person") == drawn.get("other", ""):
        text, drawn = words.fill(rng, template)
    named, placed = (
        tuple(str(drawn[key]) for key in keys if f"{{{key}}}" in template)
        for keys in (("person", "other"), ("city",))
    )
    return Fact(text, named, placed)


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
        mark = rng.choice([": ", ": ", ": ", ":\n", ":", " : "])
        return words.spin(rng, TABLE["copy_bare"]) + rng.choice(
            ["", "", ", please"]
        ) + mark + text, text
    quote = rng.choice("''\"\"`") if "'" not in text else '"'
    request = words.spin(rng, request)
    if "{text}" in request:
        text = text.rstrip(".!?")
    return request.format(text=text, quoted=f"{quote}{text}{quote}"), text


def _number(rng: Random) -> tuple[str, str]:
    fact = _fact(rng).text
    while (
        len(found := [w for w in re.findall(r"[\d:]+", fact) if ":" not in w]) != 1 or ":" in fact
    ):
        fact = _fact(rng).text
    return _about(rng, _request(rng, TABLE["number"]), fact), found[0]


def _replace(rng: Random) -> tuple[str, str]:
    if rng.random() < 0.3:
        text = _write(_text(rng, 1, 5))
        candidates = [
            w for w in text.replace(".", "").replace(",", "").split() if w.islower() and len(w) > 4
        ]
        old = rng.choice(candidates or ["the"])
        new = rng.choice([words.thing(rng), words.colour(rng), words.pseudo_word(rng)])
    else:
        old = words.name(rng)
        facts = [_fact(rng, old) for _ in range(40)]
        named = [fact for fact in facts if old in fact.names]
        body = [rng.choice(named), *_text(rng, 1, 4, old)]
        text = _write(body)
        new = words.name(rng)
    request = _request(rng, rng.choice(TABLE["replace"])).format(old=old, new=new)
    return words.ask_about(rng, request, text), _swap_word(text, old, new)


def _request(rng: Random, template: str) -> str:
    this = TABLE["this" if rng.random() < 0.6 else "short_this"]
    return words.spin(rng, template.replace("{this}", this))


def _swap_word(text: str, old: str, new: str) -> str:
    """Replace whole words only, punctuation kept."""
    return " ".join(new + w[len(old) :] if w.rstrip(".,") == old else w for w in text.split(" "))


def _items(rng: Random, least: int, most: int) -> list[str]:
    pool = rng.choice(
        [words.OBJECTS, words.FOODS, words.ANIMALS, words.CITIES, words.FIRST_NAMES, words.COLOURS]
    )
    return words.distinct(rng, pool, rng.randint(least, most))


def _list_text(rng: Random, items: list[str]) -> str:
    return rng.choice([", ".join(items), ", ".join(items), words.joined(items)]) + rng.choice(
        ["", "", "."]
    )


def _numbered(rng: Random) -> tuple[str, str]:
    items = _items(rng, 3, 9)
    bullets = rng.random() < 0.35
    kind = TABLE["bulleted" if bullets else "numbered"]
    request = rng.choice(TABLE["make_list"]).replace("{kind}", kind)
    lines = [f"- {item}" if bullets else f"{i}. {item}" for i, item in enumerate(items, 1)]
    return words.ask_about(rng, words.spin(rng, request), _list_text(rng, items)), "\n".join(lines)


def _one_per_line(rng: Random) -> tuple[str, str]:
    items = _items(rng, 3, 10)
    request = TABLE["one_per_line"]
    return words.ask_about(rng, words.spin(rng, request), _list_text(rng, items)), "\n".join(items)


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
    quoted = re.sub(
        r"(this|the( following)?) (text|sentence|passage)|the text below|this|here",
        f"the text '{text}'",
        request.replace(" below", ""),
    )
    if rng.random() < 0.12 and "'" not in text and quoted.count(text) == 1:
        return quoted
    if not request.endswith("?"):
        return words.ask_about(rng, request, text)
    return rng.choice([request, request[:-1] + ":"]) + rng.choice([" ", "\n"]) + text


def _cities(rng: Random) -> tuple[str, str]:
    facts = _text(rng, 1, 4)
    while not _distinct_of(facts, "cities"):
        facts = _text(rng, 1, 4)
    cities = _distinct_of(facts, "cities")
    request = TABLE["city" if len(cities) == 1 else "cities"]
    request = words.spin(rng, request.replace("{this}", TABLE["this_or_sentence"]))
    if len(facts) > 1:
        request = request.replace("this sentence", "this text")
    return _about(rng, request, _write(facts)), ", ".join(cities)


def _detail(rng: Random) -> tuple[str, str]:
    """Hide an address, a date, a phone number or a price in a text and ask for it."""
    person, thing = words.name(rng), words.thing(rng)
    email = f"{person.lower()}{rng.choice(['', '.' + words.last_name(rng).lower()])}@{words.pseudo_word(rng)}.{rng.choice(['com', 'org', 'net'])}"
    date = rng.choice([
        f"{rng.randint(1, 28)} {rng.choice(words.MONTHS)} {rng.randint(1990, 2030)}",
        f"{rng.randint(2000, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
    ])  # fmt: skip
    phone = (
        f"555-{rng.randint(0, 9999):04}"
        if rng.random() < 0.5
        else f"0{rng.randint(10, 99)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}"
    )
    price = f"${rng.randint(1, 300)}.{rng.randint(0, 99):02}"
    drawn = rng.choice(TABLE["carriers"])
    value = {"email": email, "date": date, "phone": phone, "price": price}[drawn["value"]]
    carrier = rng.choice(drawn["says"]).format(v=value, p=person, t=thing) + "."
    facts = [f.text for f in _text(rng, 0, 3) if "dollars" not in f.text]
    facts.insert(rng.randint(0, len(facts)), carrier)
    request = _request(rng, TABLE["detail"]).replace("{what}", drawn["what"])
    return _about(rng, request, " ".join(facts)), value


def _quote(rng: Random) -> tuple[str, str]:
    facts = _text(rng, 2, 6)
    ordinals = ["first", "second", "third", "fourth", "fifth", "sixth"]
    index = rng.randrange(min(len(facts), 5))
    ordinal = "last" if rng.random() < 0.2 else ordinals[index]
    answer = facts[-1] if ordinal == "last" else facts[index]
    request = TABLE["quote_question" if rng.random() < 0.2 else "quote"]
    return _about(rng, _request(rng, request).replace("{o}", ordinal), _write(facts)), answer.text


def _capitals(rng: Random) -> tuple[str, str]:
    items = [
        w.lower()
        for w in (_items(rng, 1, 4) if rng.random() < 0.5 else words.sentence(rng).split())
    ]
    lower = rng.random() < 0.25
    request = TABLE["capitals"].replace("{kind}", TABLE["lower" if lower else "upper"])
    if len(items) == 1:
        request = request.replace("these words|", "this word|").replace("the words", "the word")
    text = " ".join(items)
    shown, answer = (text.upper(), text) if lower else (text, text.upper())
    return words.ask_about(rng, words.spin(rng, request), shown), answer


def _full_stop(rng: Random) -> tuple[str, str]:
    text = _write([_fact(rng) for _ in range(rng.randint(1, 3))])
    request = TABLE["full_stop"]
    return words.ask_about(rng, words.spin(rng, request), text[:-1]), text


def _quoted_word(rng: Random) -> tuple[str, str]:
    items = [
        words.pseudo_word(rng) if rng.random() < 0.5 else words.thing(rng)
        for _ in range(rng.randint(1, 4))
    ]
    text, count = " ".join(items), rng.randint(2, 6)
    request = TABLE["quoted_word"].replace("{text}", text).replace("{count}", str(count))
    if len(items) == 1:
        request = request.replace("the words", "the word")
    return words.ask(rng, words.spin(rng, request)), "\n".join([text] * count)


def _reorder(rng: Random) -> tuple[str, str]:
    items = _items(rng, 3, 6)
    request = TABLE["reverse" if rng.random() < 0.3 else "reorder"]
    return words.ask_about(rng, words.spin(rng, request), _list_text(rng, items)), ", ".join(
        reversed(items)
    )
