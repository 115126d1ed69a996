"""JSON records of facts that the prompt states.

Keys are the prompt's own field names in snake_case; a sentence such as "lives in Oslo" always gives
the same key. Keys stand in the prompt's order, and values are copied from it.
"""

import json
from random import Random

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "json"
Value = str | int | float | bool | list[str]
Record = dict[str, Value]
Clause = tuple[str, str, str]  # a field, how its value is made, the part of a sentence about it
TABLE = table("records")


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
    user = words.name(rng).lower() + rng.choice(["", str(rng.randint(1, 99))])
    return f"{user}@example.{rng.choice(['com', 'org'])}"


def _date(rng: Random) -> str:
    return f"{rng.randint(1990, 2030)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _clock(rng: Random) -> str:
    return f"{rng.randint(6, 22):02}:{rng.choice(['00', '15', '30', '45'])}"


def _dish(rng: Random) -> str:
    return f"{words.food(rng)} {rng.choice(['soup', 'pie', 'cake', 'salad', 'stew'])}"


def _model(rng: Random) -> str:
    return words.pseudo_word(rng).capitalize() + rng.choice(["", f" {rng.randint(2, 900)}"])


def _username(rng: Random) -> str:
    return words.name(rng).lower() + str(rng.randint(1, 999))


def _flag(rng: Random) -> bool:
    return rng.random() < 0.5


def _whole(rng: Random, low: str, high: str) -> int:
    return rng.randint(int(low), int(high))


def _decimal(rng: Random, low: str, high: str, places: str = "2") -> float:
    return round(rng.randint(int(low) * 100, int(high) * 100) / 100, rng.randint(1, int(places)))


def _one_of(rng: Random, *options: str) -> str:
    return rng.choice(options)


def _some(rng: Random, *items: str) -> list[str]:
    choices = getattr(words, items[0]) if items[0].isupper() else items
    return words.distinct(rng, choices, rng.choice([2, 2, 3, 3, 4]))


def _make(rng: Random, how: str) -> Value:
    """Draw a value as the table says: by one of the functions above or by one of `words`."""
    name, *arguments = how.split()
    maker = globals().get(f"_{name}") or getattr(words, name)
    value: Value = maker(rng, *arguments)
    return value


def _say(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return words.joined(value) if isinstance(value, list) else str(value)


def _draw(rng: Random, least: int) -> tuple[str, list[Clause]]:
    """Return a kind and some of its fields in a random order, a list always last."""
    kind = rng.choice(list(TABLE["kinds"]))
    first, *others = [(key, *how) for key, how in TABLE["kinds"][kind].items()]
    count = rng.randint(min(least, len(others)), len(others))
    return kind, [first, *sorted(rng.sample(others, count), key=_is_list)]


def _is_list(field: Clause) -> bool:
    return field[0] in ("hobbies", "ingredients", "roles")


def _told(rng: Random) -> tuple[str, Record]:
    """State the record as a sentence."""
    kind, ((key, make, naming), *clauses) = _draw(rng, rng.choice((1, 2, 3, 3)))
    record: Record = {key: _make(rng, make)}
    parts = []
    for key, make, clause in clauses:
        value = record[key] = _make(rng, make)
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
        request = f"{words.spin(rng, TABLE['openers'])} {rng.choice(['for', 'for', 'about', 'describing'])} {noun} {link} "
        return words.ask(rng, request + words.joined(parts)), record
    fact = f"{noun} {link} {words.joined(parts)}"
    return words.ask_about(
        rng, words.spin(rng, TABLE["convert"]), fact + rng.choice([".", ""])
    ), record


def _listed(rng: Random) -> tuple[str, Record]:
    """State the record as field names with values."""
    kind, fields = _draw(rng, rng.choice((1, 2, 3, 3)))
    if rng.random() < 0.3:
        rng.shuffle(fields)
    fields.sort(key=_is_list)
    record: Record = {key: _make(rng, make) for key, make, _ in fields}
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
        return words.ask(rng, f"{words.spin(rng, TABLE['openers'])}{what} {link} {listing}")
    if roll < 0.65:
        return words.ask_about(rng, words.spin(rng, TABLE["convert_listed"]), listing)
    if roll < 0.85:
        what = rng.choice([f" for {noun}", ""])
        return words.ask_about(rng, words.spin(rng, TABLE["openers"]) + what, listing)
    if roll < 0.93:
        return f"{rng.choice(TABLE['bare']).format(noun=noun)}: {listing}"
    keys = words.joined(list(record))
    values = words.joined([_say(value) for value in record.values() if not isinstance(value, list)])
    if any(isinstance(value, list) for value in record.values()):
        return words.ask_about(rng, words.spin(rng, TABLE["openers"]), listing)
    request = f"{words.spin(rng, TABLE['openers'])} with the keys {keys} and the values {values}"
    return words.ask(rng, request)


def _free(rng: Random) -> tuple[str, Record]:
    """State arbitrary keys, often unknown words, with values of any type."""
    keys = words.distinct(rng, TABLE["free_keys"].split(), rng.choice([2, 3, 4, 5, 5, 6]))
    makers = ["thing", "name", "pseudo_word", "colour", "city"]
    makers += ["whole 0 9", "whole 10 999", "decimal 0 30", "flag"]
    record: Record = {key: _make(rng, rng.choice(makers)) for key in keys}
    return _state(rng, record, rng.choice(["a config", "a settings file", "a record"])), record


def _order(rng: Random) -> tuple[str, Record]:
    """State an order as a shop would: "3 lamps at 12.5 each, shipped to Lima"."""
    record: Record = {"quantity": rng.randint(2, 60), "item": words.plural(words.thing(rng))}
    text = f"{record['quantity']} {record['item']}"
    if rng.random() < 0.8:
        record["price"] = _decimal(rng, "1", "90")
        text += f" at {record['price']} each"
    if rng.random() < 0.7:
        record["city"] = words.city(rng)
        text += words.spin(rng, "[, shipped|, sent| delivered| shipped] to") + f" {record['city']}"
    if rng.random() < 0.5:
        record["customer"] = words.full_name(rng)
        text += f", ordered by {record['customer']}"
    opener = words.spin(rng, TABLE["openers"]) + rng.choice([" for an order", " for this order"])
    return words.ask_about(rng, opener, text + rng.choice(["", "."])), record
