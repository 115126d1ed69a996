"""JSON records of facts that the prompt states.

Keys are the prompt's own field names in snake_case; a sentence such as "lives in Oslo" always gives
the same key. Keys stand in the prompt's order, and values are copied from it.
"""

import json
import re
from random import Random
from typing import Any

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "json"
Value = str | int | float | bool | list[str]
Record = dict[str, Value]
Clause = tuple[str, str, str]  # a field, how its value is made, the part of a sentence about it
TABLE = table("records")
TABLE["persons"] = {"person", *TABLE["also"]["person"].split()}


def sample(rng: Random) -> Example:
    """Draw a record and a prompt that states it."""
    prompt, record = globals()[f"_{words.weighted(rng, TABLE['makers'])}"](rng)
    return Example(NAME, prompt, _write(record), {"record": record})


def _write(record: Record | list[Record]) -> str:
    """Write a record key by key, several records each on a line of its own."""
    if isinstance(record, dict):
        return json.dumps(record, indent=2)
    return "[\n  " + ",\n  ".join(map(json.dumps, record)) + "\n]"


def grade(example: Example, text: str) -> dict[str, bool]:
    """Check that the text is JSON, and that it is the record, keys in order."""
    try:
        parsed = json.loads(text)
    except ValueError:
        return {"parses": False, "right": False}
    return {"parses": True, "right": json.dumps(parsed) == json.dumps(example.spec["record"])}


def _fill(rng: Random, *template: str) -> str:
    return words.fill(rng, " ".join(template))[0]


def _flag(rng: Random) -> bool:
    return rng.random() < 0.5


def _whole(rng: Random, low: str, high: str) -> int:
    return rng.randint(int(low), int(high))


def _decimal(rng: Random, low: str, high: str, places: str = "2") -> float:
    return round(rng.randint(int(low) * 100, int(high) * 100) / 100, rng.randint(1, int(places)))


def _some(rng: Random, *items: str) -> list[str]:
    choices = words.LISTS.get(items[0], items)
    return words.distinct(rng, choices, rng.choice([2, 2, 3, 3, 4]))


def _make(rng: Random, how: str) -> Value:
    """Draw a value as the table says: by one of the functions above or by one of `words`."""
    name, *arguments = how.split()
    maker = globals().get(f"_{name}") or words.SLOTS[name]
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
    if rng.random() < 0.4:
        kind = rng.choice(TABLE["also"][kind].split())
        others = [field for field in others if field[0] != "animal"]
        count = min(count, len(others))
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
    link = "who" if kind in TABLE["persons"] else rng.choice(["that", "which"])
    if rng.random() < 0.6:
        request = f"{words.spin(rng, TABLE['openers'])} {rng.choice(TABLE['links'])} {noun} {link} "
        return words.ask(rng, request + words.joined(parts)), record
    fact = f"{noun} {link} {words.joined(parts)}"
    request = words.spin(rng, TABLE["convert"])
    return words.ask_about(rng, request, fact + rng.choice([".", ""])), record


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
    pairs = _pairs(record, form)
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
    request = TABLE["openers"] + TABLE["one_value" if len(record) == 1 else "all_values"]
    return words.ask(rng, words.spin(rng, request).format(keys=keys, values=values))


def _free(rng: Random) -> tuple[str, Record]:
    """State arbitrary keys, often unknown words, with values of any type."""
    keys = words.distinct(rng, TABLE["free_keys"].split(), rng.choice([1, 2, 3, 4, 5, 5, 6]))
    record: Record = {key: _make(rng, rng.choice(TABLE["free_makers"])) for key in keys}
    return _state(rng, record, rng.choice(TABLE["free_nouns"])), record


def _loose(rng: Random) -> tuple[str, Record]:
    """State a record as people type one: marks between its values, the request before or after."""
    kind, fields = _draw(rng, rng.choice((1, 2, 2, 3)))
    free = rng.random() < 0.3
    record = _free(rng)[1] if free else {key: _make(rng, make) for key, make, _ in fields}
    lists = any(isinstance(value, list) for value in record.values())
    mark = rng.choice([": ", ": ", "=", " ", " is ", " = "])
    form = "loose"
    if "name" in record and len(record) > 1 and rng.random() < 0.4:
        form, mark = "called", rng.choice((" ", ": "))
    told = {key: value for key, value in record.items() if form == "loose" or key != "name"}
    forms = [f for f in TABLE[form] if not (lists and ("{{" in f or "{l}." in f))]
    noun = rng.choice([kind, words.a(kind)]) if kind != "person" else words.a(kind)
    values = {"noun": noun, "name": record.get("name", ""), "l": ", ".join(_pairs(told, mark))}
    return words.spin(rng, rng.choice(forms)).format(**values).replace("..", "."), record


def _pairs(record: Record, mark: str) -> list[str]:
    said = {key: key.replace("_", " ") if "=" not in mark else key for key in record}
    return [f"{said[key]}{mark}{_say(value)}" for key, value in record.items()]


def _said(rng: Random) -> tuple[str, Record]:
    """State a record as one plain sentence, or an order as a shop would."""
    order = rng.random() < 0.3
    said, _, template = rng.choice(TABLE["orders" if order else "sentences"]).partition(": ")
    text, drawn = words.fill(rng, template)
    text, slots = text[0].upper() + text[1:], (key.partition("=") for key in said.split(","))
    record = {key: drawn[slot or key] for key, _, slot in slots}
    if order:
        opener = f"{words.spin(rng, TABLE['openers'])} {rng.choice(TABLE['for_orders'])}"
        return words.ask_about(rng, opener, text), record
    if rng.random() < 0.15:
        return words.spin(rng, TABLE["braces"]).format(k=", ".join(record), f=text), record
    return words.spin(rng, rng.choice(TABLE["loose_facts"])).format(f=text), record


def _counts(rng: Random) -> tuple[str, Record]:
    """State how many there are of some things."""
    things = rng.sample(words.LISTS["objects"], rng.choice((1, 2, 2, 3)))
    record: Record = {words.plural(thing): rng.randint(2, 20) for thing in things}
    said = [f"{count} {thing}" for thing, count in record.items()]
    listing = rng.choice([", ".join(said), words.joined(said)])
    return words.spin(rng, rng.choice(TABLE["counts"])).format(c=listing), record


def _open(rng: Random) -> tuple[str, Record | list[Record]]:
    """Ask for one or several records and leave their values open, perhaps with the keys named."""
    group = rng.choice(TABLE["open"])
    kind = rng.choice(group["kinds"].split()).replace("_", " ")
    count, asked = rng.choice((1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6)), ""
    keys = rng.choice(group["holds"][:1] * 3 + group["holds"]).split()
    nothing = rng.random() < 0.12
    form = "nothing" if nothing else "one" if count == 1 else "many"
    form = rng.choice(TABLE["asks"][form])
    if "{keys}" in form and rng.random() < 0.6:
        pool = list(TABLE["plausible"]) if rng.random() < 0.5 else " ".join(group["holds"]).split()
        pool = [*dict.fromkeys(pool), *TABLE["free_keys"].split()[: 3 * (rng.random() < 0.2)]]
        keys = rng.sample(pool, min(len(pool), rng.choice((1, 2, 2, 3, 3, 4))))
        articles = words.joined([words.a(key.replace("_", " ")) for key in keys])
        named = {"kc": ", ".join(keys), "ks": words.joined(keys), "aks": articles}
        asked = words.spin(rng, " " + rng.choice(TABLE["asks"]["keys"])).format(**named)
        asked = asked if asked[0] in ":," else f" {asked}"
    elif nothing:
        group, keys = TABLE["open"][0], ["name", "age"]
    else:
        keys = group["holds"][0].split()
    record = [{key: _plausible(group, key, at) for key in keys} for at in range(count)]
    number = rng.choice([str(count), words.NUMBERS[count]])
    plural = "people" if kind == "person" else words.plural(kind)
    slots = {"kind": kind, "kinds": plural, "a_kind": words.a(kind), "n": number, "keys": asked}
    if count == 1 and not nothing and "name" in keys and rng.random() < 0.3:
        record[0]["name"] = words.full_name(rng) if rng.random() < 0.3 else words.name(rng)
        whom = f" [called|named|with the name] {record[0]['name']}"
        slots |= {"kind": kind + whom, "a_kind": slots["a_kind"] + whom}
    request = words.spin(rng, form.format(**slots))
    prompt = re.sub(" +([,:)?])", r"\1", re.sub(" +", " ", request)).strip()
    return prompt, record[0] if count == 1 or nothing else record


def _plausible(group: dict[str, Any], key: str, at: int) -> Value:
    """Return what the record number `at` of a group holds under a key that was not filled in."""
    values = TABLE["plausible"] | group.get("values", {})
    if key == "name" and "name" in group:
        name = group["name"]
        value: Value = (TABLE["names"].get(name) or values[name])[at]
        return value
    return values[key][at] if key in values else f"example {at + 1}"
