"""Write records as JSON and read them again, with errors that say what to do."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from gemma_mtp_edu.language import called, marked, tr


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


def need_kind(value: Any, kind: str, name: str) -> None:
    """Raise unless a stored value is of a kind.

    Args:
        value: What was read.
        kind: "ids", "numbers" or "texts", which are several; or "text" or "count".
        name: Of the field.

    Raises:
        ValueError: It is of another kind.
    """
    fits = {
        marked("ids"): lambda v: _all(v, _is_count),
        marked("numbers"): lambda v: _all(v, lambda n: _is_count(n) or isinstance(n, float)),
        marked("text"): lambda v: isinstance(v, str),
        marked("count"): _is_count,
        marked("texts"): lambda v: (
            isinstance(v, Mapping) and all(isinstance(text, str) for text in v.values())
        ),
    }[kind]
    if not fits(value):
        raise ValueError(
            tr("{name} is {value!r:.60}, need {kind}", name=name, value=value, kind=called(kind))
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _all(values: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(values, list | tuple) and all(map(fits, values))
