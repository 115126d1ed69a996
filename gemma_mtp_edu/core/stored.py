"""Write records as JSON and read them again, with errors that say what to do."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from sys import float_info
from typing import Any

from gemma_mtp_edu.lessons.language import called, marked, tr

MOST_MASS = 1.01  # of a probability: sums over a vocabulary in bfloat16 exceed 1 by their rounding


def write_record(record: Any, schema: str, indent: int | None) -> str:
    """Return a dataclass record as JSON text that names its schema."""
    return json.dumps({"schema": schema, **asdict(record)}, indent=indent, ensure_ascii=False)


def read_record(text: str, schema: str, writer: str, error: type[ValueError]) -> dict[str, Any]:
    """Return the fields of a stored record, without its schema.

    Args:
        text: JSON text.
        schema: The schema that this release reads.
        writer: The call that writes such a record, named in messages.
        error: What to raise.

    Raises:
        ValueError: An `error`: the text is not JSON, or of another schema.
    """
    try:
        record = json.loads(text)
    except TypeError as problem:
        raise error(
            tr(
                "got a {kind}, need the text that {writer} returned",
                kind=type(text).__name__,
                writer=writer,
            )
        ) from problem
    except (ValueError, RecursionError) as problem:
        raise error(
            tr(
                "not a complete JSON text ({problem}): the file may be cut off; write it "
                "again with {writer}",
                problem=problem,
                writer=writer,
            )
        ) from problem
    found = record.pop("schema", None) if isinstance(record, dict) else None
    if found != schema:
        raise error(
            tr(
                "got schema {found!r}, this release reads {schema!r}: write it again with {writer}",
                found=found,
                schema=schema,
                writer=writer,
            )
        )
    fields: dict[str, Any] = record
    return fields


def as_tuples(value: Any) -> Any:
    """Return JSON's lists as tuples, nested ones too.

    >>> as_tuples([1, [2, 3]])
    (1, (2, 3))
    """
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def need_kinds(record: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
    """Raise unless every stored field that is there is of its kind.

    Args:
        record: What was read.
        kinds: By the field's name, what `need_kind` takes.

    Raises:
        ValueError: One is of another kind.
    """
    for name in kinds.keys() & record.keys():
        need_kind(record[name], kinds[name], name)


def need_kind(value: Any, kind: str, name: str) -> None:
    """Raise unless a stored value is of a kind.

    Args:
        value: What was read.
        kind: A name of `_FITS`.
        name: Of the field.

    Raises:
        ValueError: It is of another kind.
    """
    if not _FITS[kind](value):
        raise ValueError(
            tr("{name} is {value!r:.60}, need {kind}", name=name, value=value, kind=called(kind))
        )


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    # JSON also brings NaN, Infinity, and whole numbers that no float can hold.
    return type(value) in (int, float) and abs(value) <= float_info.max


def _is_mass(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= MOST_MASS


def _is_time(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _several(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda values: isinstance(values, list | tuple) and all(map(fits, values))


def _is_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())


_FITS: dict[str, Callable[[Any], bool]] = {
    marked("ids"): _several(_is_count),
    marked("rows of ids"): _several(_several(_is_count)),
    marked("probabilities"): _several(_is_mass),
    marked("rows of probabilities"): _several(_several(_is_mass)),
    marked("times in seconds"): _several(_is_time),
    marked("rows of times in seconds"): _several(_several(_is_time)),
    marked("a time in seconds"): _is_time,
    marked("a number"): _is_number,
    marked("a number above 0"): lambda value: _is_number(value) and value > 0,
    marked("text"): lambda value: isinstance(value, str),
    marked("texts"): _is_texts,
    marked("count"): _is_count,
    marked("true or false"): lambda value: isinstance(value, bool),
}
