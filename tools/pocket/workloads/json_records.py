"""JSON records of facts that the prompt states.

Keys are the prompt's own field names in snake_case; a sentence such as "lives in Oslo" always gives
the same key. Keys stand in the prompt's order, and values are copied from it.
"""

import json
from collections.abc import Callable
from random import Random

from tools.pocket import words
from tools.pocket.example import Example

NAME = "json"
Value = str | int | float | bool | list[str]
Record = dict[str, Value]
Clause = tuple[str, Callable[[Random], Value], str]


def sample(rng: Random) -> Example:
    """Draw a record and a prompt that states it."""
    prompt, record = rng.choices([_told, _listed, _free, _order], weights=[38, 38, 16, 8])[0](rng)
    return Example(NAME, prompt, json.dumps(record, indent=2), {"record": record})


def grade(example: Example, text: str) -> dict[str, bool]:
    """Check that the text is JSON, and that it is the record, keys in order."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return {"parses": False, "right": False}
    return {"parses": True, "right": json.dumps(parsed) == json.dumps(example.spec["record"])}


def _whole(low: int, high: int) -> Callable[[Random], int]:
    return lambda rng: rng.randint(low, high)


def _decimal(low: int, high: int, places: int = 2) -> Callable[[Random], float]:
    return lambda rng: round(rng.randint(low * 100, high * 100) / 100, rng.randint(1, places))


def _one_of(*options: str) -> Callable[[Random], str]:
    return lambda rng: rng.choice(options)


def _some(items: list[str]) -> Callable[[Random], list[str]]:
    return lambda rng: words.distinct(rng, items, rng.choice([2, 2, 3, 3, 4]))


def _flag(rng: Random) -> bool:
    return rng.random() < 0.5


def _title(rng: Random) -> str:
    noun = words.thing(rng).capitalize()
    forms = [
        f"The {words.colour(rng).capitalize()} {noun}",
        f"{rng.choice(words.ADJECTIVES).capitalize()} {words.animal(rng).capitalize()}",
        f"{noun} and {words.thing(rng).capitalize()}",
        f"A {noun} in {words.city(rng)}" if noun[0] not in "AEIOU" else f"The {noun}",
        f"{words.pseudo_word(rng).capitalize()}",
    ]
    return rng.choice(forms)


def _product(rng: Random) -> str:
    return rng.choice([f"{words.colour(rng)} {words.thing(rng)}", words.thing(rng)])


def _email(rng: Random) -> str:
    return f"{words.name(rng).lower()}{rng.choice(['', str(rng.randint(1, 99))])}@example.{rng.choice(['com', 'org'])}"


def _date(rng: Random) -> str:
    return f"{rng.randint(1990, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _clock(rng: Random) -> str:
    return f"{rng.randint(6, 22):02}:{rng.choice(['00', '15', '30', '45'])}"


_COLOUR: Clause = ("color", words.colour, "[has the color|comes in the color] {v}")
# Per kind: its noun, its first field, and the others with the sentence part that states each.
KINDS: dict[str, tuple[Clause, list[Clause]]] = {
    "person": (
        ("name", words.full_name, "[named|called|with the name|by the name of] {v}"),
        [
            ("age", _whole(3, 95), "is {v} years old"),
            ("city", words.city, "[lives|is living] in {v}"),
            ("job", words.job, "works as {av}"),
            ("hobbies", _some(words.HOBBIES), "[likes|enjoys|loves] {v}"),
            ("email", _email, "[has|uses] the email [|address] {v}"),
            ("married", _flag, "[{is} married]"),
        ],
    ),
    "book": (
        ("title", _title, "[titled|called|with the title|named] {v}"),
        [
            ("author", words.full_name, "[was written by|is by|has the author] {v}"),
            ("year", _whole(1850, 2029), "[was published in|came out in|is from] {v}"),
            ("pages", _whole(40, 900), "has {v} pages"),
            ("price", _decimal(3, 60), "costs {v}"),
        ],
    ),
    "product": (
        ("name", _product, "[named|called|with the name] {v}"),
        [
            ("price", _decimal(1, 400), "[costs|sells for] {v}"),
            ("quantity", _whole(1, 500), "has [a|the] quantity of {v}"),
            ("material", words.material, "is made of {v}"),
            ("in_stock", _flag, "{is} in stock"),
            _COLOUR,
        ],
    ),
    "city": (
        ("city", words.city, "[named|called|with the name] {v}"),
        [
            ("country", words.country, "[is in the country|has the country] {v}"),
            ("population", _whole(1000, 9_999_999), "has [a population of {v}|{v} inhabitants]"),
            ("temperature", _whole(-15, 42), "has a temperature of {v}[| degrees]"),
            ("weather", _one_of("sunny", "rainy", "cloudy", "windy", "snowy"), "has {v} weather"),
            ("humidity", _whole(10, 99), "has [a|] humidity of {v}"),
        ],
    ),
    "event": (
        ("event", _one_of("concert", "meeting", "workshop", "party", "lecture"), "[named|called] {v}"),
        [
            ("city", words.city, "[takes place|is held] in {v}"),
            ("date", _date, "[is|takes place|happens] on {v}"),
            ("time", _clock, "[starts|begins] at {v}"),
            ("guests", _whole(2, 400), "has {v} guests"),
            ("free", _flag, "{is} free"),
        ],
    ),
    "pet": (
        ("name", words.name, "[named|called|with the name] {v}"),
        [
            ("animal", words.animal, "is {av}"),
            ("age", _whole(1, 20), "is {v} years old"),
            ("owner", words.full_name, "belongs to {v}"),
            ("weight", _decimal(1, 60, 1), "weighs {v}[| kg]"),
            _COLOUR,
        ],
    ),
    "recipe": (
        ("name", lambda rng: f"{words.food(rng)} {rng.choice(['soup', 'pie', 'cake', 'salad', 'stew'])}",
         "[named|called|for] {v}"),
        [
            ("servings", _whole(1, 12), "serves {v}[| people]"),
            ("minutes", _whole(5, 180), "takes {v} minutes"),
            ("ingredients", _some(words.FOODS), "[uses|needs|contains] {v}"),
            ("vegan", _flag, "{is} vegan"),
        ],
    ),
    "car": (
        ("model", lambda rng: words.pseudo_word(rng).capitalize() + rng.choice(["", f" {rng.randint(2, 900)}"]),
         "[of the model|with the model name] {v}"),
        [
            ("year", _whole(1960, 2029), "[was built in|is from] {v}"),
            ("price", _whole(800, 90_000), "costs {v}"),
            ("seats", _whole(2, 9), "has {v} seats"),
            ("electric", _flag, "{is} electric"),
            _COLOUR,
        ],
    ),
    "song": (
        ("title", _title, "[titled|called|with the title|named] {v}"),
        [
            ("artist", words.full_name, "is [sung |]by {v}"),
            ("album", _title, "is on the album {v}"),
            ("year", _whole(1950, 2029), "[came out in|is from] {v}"),
            ("seconds", _whole(60, 600), "lasts {v} seconds"),
        ],
    ),
    "user account": (
        ("username", lambda rng: words.name(rng).lower() + str(rng.randint(1, 999)),
         "[named|called|with the username] {v}"),
        [
            ("email", _email, "[has|uses] the email [|address] {v}"),
            ("id", _whole(1, 99_999), "has the id {v}"),
            ("language", _one_of("English", "French", "German", "Spanish", "Hindi"), "uses the language {v}"),
            ("active", _flag, "{is} active"),
            ("roles", _some(["admin", "editor", "reader", "guest", "owner"]), "has the roles {v}"),
        ],
    ),
}  # fmt: skip
OPENERS = (
    "[Write|Give me|Make|Create|Return|Generate|Produce|Output|Build] "
    "[a JSON record|a JSON object|JSON|a record in JSON|the JSON|a small JSON object]"
)
FREE_KEYS = (
    "host port mode level size width height depth user team score rank speed limit color shape label "
    "status code group owner path format theme volume count total debug verbose retries timeout start "
    "end region plan points floor room seat gate flight brand type version note first last left right"
).split()


def _say(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return words.joined(value) if isinstance(value, list) else str(value)


def _draw(rng: Random, least: int) -> tuple[str, list[Clause]]:
    """Return a kind and some of its fields in a random order, a list always last."""
    kind = rng.choice(list(KINDS))
    first, others = KINDS[kind]
    count = rng.randint(min(least, len(others)), len(others))
    return kind, [first, *sorted(rng.sample(others, count), key=_is_list)]


def _is_list(field: Clause) -> bool:
    return field[0] in ("hobbies", "ingredients", "roles")


def _told(rng: Random) -> tuple[str, Record]:
    """State the record as a sentence."""
    kind, ((key, make, naming), *clauses) = _draw(rng, rng.choice((1, 2, 3, 3)))
    record: Record = {key: make(rng)}
    parts = []
    for key, make, clause in clauses:
        value = record[key] = make(rng)
        said = words.spin(rng, clause)
        parts.append(
            said.replace("{is}", "is" if value else "is not")
            .replace("{av}", words.a(_say(value)))
            .replace("{v}", _say(value))
        )
    noun = f"{words.a(kind)} {words.spin(rng, naming)}".replace(
        "{v}", _say(next(iter(record.values())))
    )
    link = "who" if kind == "person" else rng.choice(["that", "which"])
    if rng.random() < 0.6:
        request = f"{words.spin(rng, OPENERS)} {rng.choice(['for', 'for', 'about', 'describing'])} {noun} {link} "
        return words.ask(rng, request + words.joined(parts)), record
    fact = f"{noun} {link} {words.joined(parts)}"
    request = "[Turn|Convert|Put|Change] [this|the following|this text|this description] into JSON"
    return words.ask_about(rng, words.spin(rng, request), fact + rng.choice([".", ""])), record


def _listed(rng: Random) -> tuple[str, Record]:
    """State the record as field names with values."""
    kind, fields = _draw(rng, rng.choice((1, 2, 3, 3)))
    if rng.random() < 0.3:
        rng.shuffle(fields)
    fields.sort(key=_is_list)
    record: Record = {key: make(rng) for key, make, _ in fields}
    return _state(rng, record, words.a(kind)), record


def _state(rng: Random, record: Record, noun: str) -> str:
    form = rng.choice([" ", " ", ": ", "=", " is ", " = "])
    said = {key: key.replace("_", " ") if form not in ("=", " = ") else key for key in record}
    pairs = [f"{said[key]}{form}{_say(value)}" for key, value in record.items()]
    listing = words.joined(pairs) if form == " " and rng.random() < 0.5 else ", ".join(pairs)
    if form == ": " and rng.random() < 0.3:
        listing = "\n".join(pairs)
    roll = rng.random()
    if roll < 0.35 and "\n" not in listing:
        link = "where" if form == " is " else "with"
        what = rng.choice([f" for {noun}", f" for {noun}", ""])
        return words.ask(rng, f"{words.spin(rng, OPENERS)}{what} {link} {listing}")
    if roll < 0.65:
        request = "[Turn|Convert|Put] [this|the following|these facts|this data] into [JSON|a JSON object]"
        return words.ask_about(rng, words.spin(rng, request), listing)
    if roll < 0.85:
        what = rng.choice([f" for {noun}", ""])
        return words.ask_about(rng, words.spin(rng, OPENERS) + what, listing)
    if roll < 0.93:
        bare = [
            "JSON",
            "json",
            "As JSON",
            f"JSON for {noun}",
            f"json for {noun}",
            f"JSON of {noun}",
        ]
        return f"{rng.choice(bare)}: {listing}"
    keys = words.joined(list(record))
    values = words.joined([_say(value) for value in record.values() if not isinstance(value, list)])
    if any(isinstance(value, list) for value in record.values()):
        return words.ask_about(rng, words.spin(rng, OPENERS), listing)
    request = f"{words.spin(rng, OPENERS)} with the keys {keys} and the values {values}"
    return words.ask(rng, request)


def _free(rng: Random) -> tuple[str, Record]:
    """State arbitrary keys, often unknown words, with values of any type."""
    keys = words.distinct(rng, FREE_KEYS, rng.choice([2, 3, 4, 5, 5, 6]))
    makers = [words.thing, words.name, words.pseudo_word, words.colour, words.city]
    makers += [_whole(0, 9), _whole(10, 999), _decimal(0, 30), _flag]
    record: Record = {key: rng.choice(makers)(rng) for key in keys}
    return _state(rng, record, rng.choice(["a config", "a settings file", "a record"])), record


def _order(rng: Random) -> tuple[str, Record]:
    """State an order as a shop would: "3 lamps at 12.5 each, shipped to Lima"."""
    record: Record = {"quantity": rng.randint(2, 60), "item": words.plural(words.thing(rng))}
    text = f"{record['quantity']} {record['item']}"
    if rng.random() < 0.8:
        record["price"] = _decimal(1, 90)(rng)
        text += f" at {record['price']} each"
    if rng.random() < 0.7:
        record["city"] = words.city(rng)
        text += words.spin(rng, "[, shipped|, sent| delivered| shipped] to") + f" {record['city']}"
    if rng.random() < 0.5:
        record["customer"] = words.full_name(rng)
        text += f", ordered by {record['customer']}"
    opener = words.spin(rng, OPENERS) + rng.choice([" for an order", " for this order"])
    return words.ask_about(rng, opener, text + rng.choice(["", "."])), record
