"""Counting, sums solved column by column, times tables and small word problems.

Each answer writes its steps out, so that a tiny model never has to carry a digit in its head.
"""

import re
from collections.abc import Mapping
from random import Random

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "arithmetic"
COLUMNS = ("Ones", "Tens", "Hundreds", "Thousands")
TABLE = table("arithmetic")


def sample(rng: Random) -> Example:
    """Draw a counting, addition, subtraction, table, comparison or word problem."""
    return _sample_kind(rng, TABLE["kinds"])


def sample_drill(rng: Random) -> Example:
    """Draw mostly from the kinds that are the hardest to learn: borrowing, doubling, steps."""
    return _sample_kind(rng, TABLE["drill"])


def _sample_kind(rng: Random, kinds: Mapping[str, int]) -> Example:
    """Draw a problem of one of `kinds`, which have weights."""
    prompt, answer = globals()[f"_{words.weighted(rng, kinds)}"](rng)
    return Example(NAME, prompt, answer, {"final": _final(answer), "steps": "=" in answer})


def grade(example: Example, text: str) -> dict[str, bool]:
    """Compare the last equation of a worked answer, and what follows it, or the whole of any other answer."""
    if example.spec["steps"] and "\n" not in example.answer:
        ends = text.rstrip().endswith(".")
        return {"right": ends and "=" in text and _final(text) == example.spec["final"]}
    return {"right": " ".join(text.split()) == " ".join(example.answer.split())}


def _final(text: str) -> str:
    """Return the operands of the last equation and every number after it."""
    before, _, after = text.rpartition("=")
    return " ".join([*re.findall(r"\d+", before)[-2:], "=", *re.findall(r"\d+", after)])


def _show(numbers: range | list[int]) -> str:
    return ", ".join(map(str, numbers))


def _form(rng: Random, *keys: str) -> str:
    """Return one of the ways that the table has under these keys."""
    found = (TABLE[key] for key in keys)
    return words.spin(rng, rng.choice([form for forms in found for form in forms]))


def _count_up(rng: Random) -> tuple[str, str]:
    start = rng.choice([0, 1, 1, 1, rng.randrange(30), rng.randrange(100), rng.randrange(980)])
    stop = start + rng.choice([rng.randrange(4, 16), rng.randrange(8, 40)])
    request = _form(rng, "count_up_from_one" if start == 1 and rng.random() < 0.4 else "count_up")
    said = words.NUMBERS[stop] if start == 1 and stop < 13 and rng.random() < 0.4 else stop
    return words.ask(rng, request.format(a=start, b=said)), _show(range(start, stop + 1))


def _count_down(rng: Random) -> tuple[str, str]:
    stop = rng.choice([0, 1, 1, rng.randrange(40), rng.randrange(900)])
    start = stop + rng.choice([rng.randrange(4, 16), rng.randrange(8, 36)])
    request = _form(rng, "count_down_to_one" if stop == 1 and rng.random() < 0.5 else "count_down")
    return words.ask(rng, request.format(a=start, b=stop)), _show(range(start, stop - 1, -1))


def _count_by(rng: Random) -> tuple[str, str]:
    step = rng.choice([2, 2, 3, 4, 5, 5, 10, 10, 20, 25, 100, 6, 7, 8, 9])
    start = rng.choice([0, step, step * rng.randrange(1, 9)])
    stop = start + step * rng.randrange(4, 20)
    by = f"{step}s" if rng.random() < 0.6 or step > 10 else words.NUMBERS[step] + "es"[step != 6 :]
    bare = rng.random() < 0.35
    start = step if bare else start
    request = _form(rng, "count_by_to" if bare else "count_by")
    request = request.format(a=start, b=stop, by=by, step=step)
    return words.ask(rng, request), _show(range(start, stop + 1, step))


def _parity(rng: Random) -> tuple[str, str]:
    odd, bare = rng.randrange(2), rng.random() < 0.35
    start = rng.choice([0, 0, rng.randrange(45), rng.randrange(450)]) * 2 + odd
    start = 2 - odd if bare else start
    stop = start + 2 * rng.randrange(2 if bare else 4, 15)
    request = _form(rng, "parity_to" if bare else "parity")
    request = request.format(a=start, b=stop, kind="odd" if odd else "even")
    return words.ask(rng, request), _show(range(start, stop + 1, 2))


def _neighbour(rng: Random) -> tuple[str, str]:
    number = rng.randrange(1, rng.choice([30, 100, 1000]))
    side, near = rng.choice([("after", number + 1), ("before", number - 1)])
    prompt = _form(rng, "neighbour").format(side=side, n=number)
    return prompt, f"The number {side} {number} is {near}."


def _double(rng: Random) -> tuple[str, str]:
    start, count = rng.randrange(1, 13), rng.randrange(4, 9)
    number = str(count) if rng.random() < 0.5 else words.NUMBERS[count]
    request = _form(rng, "double").format(a=start, n=number)
    return words.ask(rng, request), _show([start * 2**power for power in range(count)])


def _sequence(rng: Random) -> tuple[str, str]:
    """Show the beginning of a row of numbers; the answer goes on with the next five."""
    step = rng.choice([1, 1, 2, 2, 3, 4, 5, 5, 10, 10, 100, -1, -2, -10, 6, 7, 8, 9, 20, 25, 50])
    start = rng.choice([0, step, abs(step), abs(step) * rng.randrange(1, 9), rng.randrange(1, 40)])
    start = start - 9 * step if step < 0 else start
    shown, first = rng.randrange(3, 6), rng.randrange(1, 4)
    row = [start + step * at for at in range(shown + 5)]
    if rng.random() < 0.12:
        row = [first * 2**at for at in range(shown + 5)]
    some = _show(row[:shown])
    request = _form(rng, "sequence").replace("{s2}", some.replace(",", ""))
    return request.replace("{s}", some), _show(row[shown:])


def _said(rng: Random, form: str, first: int, second: int, sign: str = "") -> str:
    """Fill in both operands, sometimes as words where the form has blanks around them."""
    spelled = rng.random() < 0.15 and not re.search(r"}[^ ?.,]|[^ ]{b", form)
    names = dict(enumerate(words.NUMBERS)) if spelled else {}
    return form.format(a=names.get(first, first), b=names.get(second, second), sign=sign)


def _three(rng: Random) -> tuple[str, str]:
    a, b, c = (rng.randrange(1, 10) for _ in range(3))
    prompt = _form(rng, "three").format(a=a, b=b, c=c)
    return prompt, f"{a} + {b} = {a + b}. {a + b} + {c} = {a + b + c}."


def _quotient(rng: Random) -> tuple[str, str]:
    """Draw a division that the tables up to 12 hold, or a half."""
    result, by = rng.randrange(1, 13), rng.randrange(2, 13)
    if rng.random() < 0.2:
        return _form(rng, "half").format(a=result * 2), f"{result * 2} / 2 = {result}."
    prompt = _said(rng, _form(rng, "quotient"), result * by, by)
    return prompt, f"{result * by} / {by} = {result}."


def _product(rng: Random) -> tuple[str, str]:
    first, second = rng.randrange(rng.choice((0, 2, 2, 2)), 13), rng.randrange(2, 13)
    first, second = rng.sample((first, second), 2)
    if first == 2 and rng.random() < 0.15:
        return _form(rng, "twice").format(a=second), f"2 x {second} = {2 * second}."
    prompt = _said(rng, _form(rng, "product"), first, second)
    return prompt, f"{first} x {second} = {first * second}."


def _sum(rng: Random, first: int, second: int, minus: bool) -> tuple[str, str]:
    form = _form(rng, "sums", "minus" if minus else "plus")
    return _said(rng, form, first, second, "-" if minus else "+"), _columns(first, second, minus)


def _small_sum(rng: Random) -> tuple[str, str]:
    """Draw a sum or a difference that is known by heart."""
    first, second, minus = rng.randrange(13), rng.randrange(13), rng.random() < 0.4
    return _sum(rng, first + second * minus, second, minus)


def _column_sum(rng: Random) -> tuple[str, str]:
    limit = rng.choice([20, 100, 100, 1000, 1000])
    first, second = rng.randrange(1, limit), rng.randrange(1, rng.choice([limit, min(limit, 100)]))
    minus = rng.random() < 0.45
    if minus and first < second:
        first, second = second, first
    return _sum(rng, first, second, minus)


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
    most, least = rng.choice([(100, 60), (100, 60), (13, 10)])
    first, second = rng.randrange(3, most), rng.randrange(2, least)
    kind = "minus" if first > second and rng.random() < 0.55 else "plus"
    steps, thing = _columns(first, second, kind == "minus"), words.plural(words.thing(rng))
    result = first - second if kind == "minus" else first + second
    own, who = rng.random() < 0.3, words.name(rng)
    form = rng.choice(TABLE["own_problem" if own else "word_problem"])
    for part, values in TABLE["problem_parts"].items():
        form = form.replace(f"{{{part}}}", values[kind])
    prompt = words.spin(rng, form).format(name=who, a=first, b=second, things=thing)
    answer = f"{steps} {'You have' if own else f'{who} has'} {result} {thing}."
    return re.sub(" ([?.,])", r"\1", prompt), answer


def _table(rng: Random) -> tuple[str, str]:
    number, start = rng.randrange(2, 13), rng.choice([1, 1, 1, 2, 3, 4, 5])
    stop, request = rng.choice([10, 10, rng.randrange(start + 2, 11), 12]), _form(rng, "table")
    if "{a}" not in request:
        start, stop = 1, 10
    lines = [f"{number} x {i} = {number * i}" for i in range(start, stop + 1)]
    return words.ask(rng, request.format(n=number, a=start, b=stop)), "\n".join(lines)


def _compare(rng: Random) -> tuple[str, str]:
    first, second = rng.sample(range(1, rng.choice([20, 100, 1000])), 2)
    up = rng.random() < 0.6
    word = rng.choice(["larger", "bigger", "greater"] if up else ["smaller", "less"])
    best, other = (max, min) if up else (min, max)
    if rng.random() < 0.8:
        prompt = _form(rng, "compare").format(word=word, a=first, b=second)
        return prompt, f"{best(first, second)} is {word} than {other(first, second)}."
    prompt = _form(rng, "compare_yes").format(word=word, a=first, b=second)
    holds = best(first, second) == first
    word = word if holds else "smaller" if up else "larger"
    return prompt, f"{'Yes' if holds else 'No'}, {first} is {word} than {second}."
