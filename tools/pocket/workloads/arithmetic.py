"""Counting, sums solved column by column, times tables and small word problems.

Each answer writes its steps out, so that a tiny model never has to carry a digit in its head.
"""

import re
from collections.abc import Callable, Mapping
from random import Random

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "arithmetic"
COLUMNS = ("Ones", "Tens", "Hundreds", "Thousands")
Kind = Callable[[Random], tuple[str, str]]  # draws a prompt and its answer
TABLE = table("arithmetic")
SMALL = "two three four five six seven eight nine ten eleven twelve".split()


def sample(rng: Random) -> Example:
    """Draw a counting, addition, subtraction, table, comparison or word problem."""
    return _sample_kind(
        rng,
        {
            _count_up: 13, _count_down: 8, _count_by: 8, _parity: 6, _neighbour: 3, _double: 3,
            _column_sum: 20, _word_problem: 11, _table: 4, _compare: 5, _product: 10, _small_sum: 10,
            _quotient: 5, _sequence: 7, _three: 2,
        },
    )  # fmt: skip


def sample_drill(rng: Random) -> Example:
    """Draw mostly from the kinds that are the hardest to learn: borrowing, doubling, steps."""
    return _sample_kind(
        rng,
        {
            _count_up: 6, _count_by: 14, _double: 14, _column_sum: 30, _word_problem: 11, _table: 3,
            _compare: 5, _product: 6, _sequence: 8, _quotient: 4,
        },
    )  # fmt: skip


def _sample_kind(rng: Random, kinds: Mapping[Kind, int]) -> Example:
    """Draw a problem of one of `kinds`, which have weights."""
    (kind,) = rng.choices(list(kinds), weights=list(kinds.values()))
    prompt, answer = kind(rng)
    return Example(NAME, prompt, answer, {"final": _final(answer), "steps": "=" in answer})


def grade(example: Example, text: str) -> dict[str, bool]:
    """Compare the last equation of a worked answer, and what follows it, or the whole of any other answer."""
    if example.spec["steps"] and "\n" not in example.answer:
        return {"right": "=" in text and _final(text) == example.spec["final"]}
    return {"right": " ".join(text.split()) == " ".join(example.answer.split())}


def _final(text: str) -> str:
    """Return the operands of the last equation and every number after it."""
    before, _, after = text.rpartition("=")
    return " ".join([*re.findall(r"\d+", before)[-2:], "=", *re.findall(r"\d+", after)])


def _show(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def _start(rng: Random) -> int:
    return rng.choice(
        [0, 1, 1, 1, rng.randrange(2, 30), rng.randrange(10, 100), rng.randrange(980)]
    )


def _count_up(rng: Random) -> tuple[str, str]:
    start = _start(rng)
    stop = start + rng.choice([rng.randrange(4, 16), rng.randrange(8, 40)])
    request = rng.choice(TABLE["count_up"])
    if start == 1:
        request = rng.choice([request, request, TABLE["count_up_from_one"]])
    said = SMALL[stop - 2] if start == 1 and stop < 13 and rng.random() < 0.4 else stop
    prompt = words.ask(rng, words.spin(rng, request).format(a=start, b=said))
    return prompt, _show(list(range(start, stop + 1)))


def _count_down(rng: Random) -> tuple[str, str]:
    stop = rng.choice([0, 1, 1, rng.randrange(40), rng.randrange(900)])
    start = stop + rng.choice([rng.randrange(4, 16), rng.randrange(8, 36)])
    request = rng.choice(TABLE["count_down"])
    if stop == 1:
        request = rng.choice([request, TABLE["count_down_to_one"]])
    prompt = words.ask(rng, words.spin(rng, request).format(a=start, b=stop))
    return prompt, _show(list(range(start, stop - 1, -1)))


def _count_by(rng: Random) -> tuple[str, str]:
    step = rng.choice([2, 2, 3, 4, 5, 5, 10, 10, 20, 25, 100, 6, 7, 8, 9])
    start = rng.choice([0, step, step * rng.randrange(1, 9)])
    stop = start + step * rng.randrange(4, 20)
    by = f"{step}s" if rng.random() < 0.6 or step not in range(2, 11) else _number_plural(step)
    request = rng.choice(TABLE["count_by"])
    if rng.random() < 0.35:
        start, request = step, TABLE["count_by_to"]
    request = words.spin(rng, request).format(a=start, b=stop, by=by, step=step)
    return words.ask(rng, request), _show(list(range(start, stop + 1, step)))


def _number_plural(number: int) -> str:
    word = SMALL[number - 2]
    return word + ("es" if word == "six" else "s")


def _parity(rng: Random) -> tuple[str, str]:
    odd = rng.randrange(2)
    start = rng.choice([0, 0, rng.randrange(45), rng.randrange(450)]) * 2 + odd
    stop = start + 2 * rng.randrange(4, 15)
    request = rng.choice(TABLE["parity"])
    if rng.random() < 0.35:
        start, request = 2 - odd, TABLE["parity_to"]
        stop = start + 2 * rng.randrange(2, 15)
    kind = "odd" if odd else "even"
    request = words.spin(rng, request).format(a=start, b=stop, kind=kind)
    return words.ask(rng, request), _show(list(range(start, stop + 1, 2)))


def _neighbour(rng: Random) -> tuple[str, str]:
    number = rng.randrange(1, rng.choice([30, 100, 1000]))
    side = rng.choice(["after", "before"])
    near = number + (1 if side == "after" else -1)
    question = rng.choice(TABLE["neighbour"])
    prompt = words.spin(rng, question).format(side=side, n=number)
    return prompt, f"The number {side} {number} is {near}."


def _double(rng: Random) -> tuple[str, str]:
    start, count = rng.randrange(1, 13), rng.randrange(4, 9)
    number = str(count) if rng.random() < 0.5 else SMALL[count - 2]
    request = words.spin(rng, rng.choice(TABLE["double"])).format(a=start, n=number)
    return words.ask(rng, request), _show([start * 2**power for power in range(count)])


def _sequence(rng: Random) -> tuple[str, str]:
    """Show the beginning of a row of numbers; the answer goes on with the next five."""
    step = rng.choice([1, 1, 2, 2, 3, 4, 5, 5, 10, 10, 100, -1, -2, -10, 6, 7, 8, 9, 20, 25, 50])
    start = rng.choice([0, step, abs(step), abs(step) * rng.randrange(1, 9), rng.randrange(1, 40)])
    start = start - 9 * step if step < 0 else start
    shown = rng.randrange(3, 6)
    row = [start + step * at for at in range(shown + 5)]
    if rng.random() < 0.12:
        first = rng.randrange(1, 4)
        row = [first * 2**at for at in range(shown + 5)]
    some = _show(row[:shown])
    request = words.spin(rng, rng.choice(TABLE["sequence"])).replace("{s2}", some.replace(",", ""))
    return request.replace("{s}", some), _show(row[shown:])


def _small_sum(rng: Random) -> tuple[str, str]:
    """Draw a sum or a difference that is known by heart."""
    first, second, minus = rng.randrange(0, 13), rng.randrange(0, 13), rng.random() < 0.4
    if minus:
        first = first + second
    sign, forms = ("-", "minus") if minus else ("+", "plus")
    form = words.spin(rng, rng.choice(TABLE["sums"] + TABLE[forms]))
    if first == second and not minus and rng.random() < 0.15:
        return words.spin(rng, TABLE["twice"]).format(a=first), f"2 x {first} = {2 * first}."
    said = _said(rng, first, second, form)
    return form.format(**said, sign=sign), _columns(first, second, minus)


def _said(rng: Random, first: int, second: int, form: str) -> dict[str, object]:
    """Return both operands, sometimes as words where the form has blanks around them."""
    spelled = rng.random() < 0.15 and not re.search(r"}[^ ?.,]|[^ ]{b", form)
    names = dict(enumerate(("zero", "one", *SMALL)))
    return (
        {"a": names.get(first, first), "b": names.get(second, second)}
        if spelled
        else {"a": first, "b": second}
    )


def _three(rng: Random) -> tuple[str, str]:
    a, b, c = (rng.randrange(1, 10) for _ in range(3))
    prompt = words.spin(rng, TABLE["three"].format(a=a, b=b, c=c))
    return prompt, f"{a} + {b} = {a + b}. {a + b} + {c} = {a + b + c}."


def _quotient(rng: Random) -> tuple[str, str]:
    """Draw a division that the tables up to 12 hold, or a half."""
    result, by = rng.randrange(1, 13), rng.randrange(2, 13)
    if rng.random() < 0.2:
        return words.spin(rng, TABLE["half"]).format(a=result * 2), f"{result * 2} / 2 = {result}."
    form = words.spin(rng, rng.choice(TABLE["quotient"]))
    return form.format(**_said(rng, result * by, by, form)), f"{result * by} / {by} = {result}."


def _column_sum(rng: Random) -> tuple[str, str]:
    limit = rng.choice([20, 100, 100, 1000, 1000])
    first, second = rng.randrange(1, limit), rng.randrange(1, rng.choice([limit, min(limit, 100)]))
    minus = rng.random() < 0.45
    if minus and first < second:
        first, second = second, first
    sign = "-" if minus else "+"
    forms = TABLE["sums"] + TABLE["minus" if minus else "plus"]
    prompt = words.spin(rng, rng.choice(forms)).format(a=first, b=second, sign=sign)
    return prompt, _columns(first, second, minus)


def _columns(first: int, second: int, minus: bool) -> str:
    """Return the written steps of a sum or a difference and its result."""
    steps: list[str] = []
    carry = 0
    result = first - second if minus else first + second
    if second < 13 and (result if minus else first) < 13:  # known by heart
        return f"{first} {'-' if minus else '+'} {second} = {result}."
    for place in range(len(str(max(first, second)))):
        x, y = first // 10**place % 10, second // 10**place % 10
        if minus:
            step, carry = _borrow_step(x, y, carry)
        else:
            total = x + y + carry
            step = f"{x} + {y} + {carry} = {total}, write {total % 10}"
            carry = total // 10
            step += f", carry {carry}" if carry else ""
        steps.append(f"{COLUMNS[place]}: {step}.")
    if carry:
        steps.append(f"{COLUMNS[len(steps)]}: write {carry}.")
    return " ".join(steps) + f" {first} {'-' if minus else '+'} {second} = {result}."


def _borrow_step(x: int, y: int, borrowed: int) -> tuple[str, int]:
    left = x - y - borrowed
    if left >= 0:
        return f"{x} - {y} - {borrowed} = {left}, write {left}", 0
    return f"{x + 10} - {y} - {borrowed} = {left + 10}, write {left + 10}, borrow 1", 1


def _word_problem(rng: Random) -> tuple[str, str]:
    small = rng.random() < 0.3
    first, second = rng.randrange(3, 13 if small else 100), rng.randrange(2, 10 if small else 60)
    minus = rng.random() < 0.45
    if minus and first < second:
        first, second = second, first
    thing = words.plural(words.thing(rng))
    verb = "gives away|sells|loses|breaks" if minus else "buys|finds|gets|makes"
    more = f"[{verb}] {second}" + (" [of them|]" if minus else " [more|more {things}]")
    ending = "does {name} have [now|left|]" if minus else "does {name} have [now|in total|]"
    if rng.random() < 0.3:
        form = rng.choice(TABLE["own_problem"]).replace(
            "{own}", more.replace("s|", "|").replace("s]", "]")
        )
        form = re.sub(
            r"\[(buy|give)[^]]*\]",
            "[give away|sell|lose|break|eat|drop]" if minus else "[get|buy|find|make|receive]",
            form,
        )
        prompt = words.spin(rng, form).format(a=first, things=thing).replace(" .", ".")
        result = first - second if minus else first + second
        return prompt, f"{_columns(first, second, minus)} You have {result} {thing}."
    form = rng.choice(TABLE["word_problem"]).replace("{more}", more).replace("{ending}", ending)
    who = words.name(rng)
    prompt = words.spin(rng, form).format(name=who, a=first, things=thing)
    prompt = prompt.replace(" ?", "?").replace(" .", ".").replace(" ,", ",")
    result = first - second if minus else first + second
    steps = _columns(first, second, minus)
    return prompt, f"{steps} {who} has {result} {thing}."


def _table(rng: Random) -> tuple[str, str]:
    number, start = rng.randrange(2, 13), rng.choice([1, 1, 1, 2, 3, 4, 5])
    stop = rng.choice([10, 10, rng.randrange(start + 2, 11), 12]) if start < 8 else 12
    request = words.spin(rng, TABLE["table"])
    if "{a}" not in request:
        start, stop = 1, 10
    lines = [f"{number} x {i} = {number * i}" for i in range(start, stop + 1)]
    return words.ask(rng, request.format(n=number, a=start, b=stop)), "\n".join(lines)


def _compare(rng: Random) -> tuple[str, str]:
    limit = rng.choice([20, 100, 1000])
    first, second = rng.sample(range(1, limit), 2)
    up = rng.random() < 0.6
    word = rng.choice(["larger", "bigger", "greater"] if up else ["smaller", "less"])
    form = rng.choice(TABLE["compare"])
    prompt = words.spin(rng, form).format(word=word, a=first, b=second)
    if rng.random() < 0.25:
        says = "Yes" if (first > second) == up else "No"
        word = word if says == "Yes" else {True: "smaller", False: "larger"}[up]
        asked = TABLE["compare_yes"].format(word="{word}", a=first, b=second)
        return words.spin(rng, asked).replace(
            "{word}", rng.choice(["larger", "bigger", "greater"] if up else ["smaller", "less"])
        ), f"{says}, {first} is {word} than {second}."
    best, other = (max, min) if up else (min, max)
    return prompt, f"{best(first, second)} is {word} than {other(first, second)}."


def _product(rng: Random) -> tuple[str, str]:
    first, second = rng.randrange(rng.choice((0, 2, 2, 2)), 13), rng.randrange(2, 13)
    first, second = rng.sample((first, second), 2)
    form = words.spin(rng, rng.choice(TABLE["product"]))
    prompt = form.format(**_said(rng, first, second, form))
    return prompt, f"{first} x {second} = {first * second}."
