"""Small Python functions, judged by what they compute.

Without a name in the prompt, each task has one conventional name. Arguments are called `x`, `a` and `b`,
`text` or `numbers`, unless the prompt names its own. The docstring restates the task.

The grader runs only code that passes an allow-list. It stops accidents, not attackers.
"""

import ast
import builtins
import re
import sys
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Any

from tools.pocket import words
from tools.pocket.example import Example, table

NAME = "code"
TABLE = table("functions")
INPUTS: dict[str, list[Any]] = TABLE["inputs"]
INPUTS["text"].append("abcdefghijklmnopqrstuvwxyz" * 5)
INPUTS["numbers"].append(list(range(110)))
INPUTS["number"] += range(200)  # numbers around 100 tell the constants of limits apart
ALLOWED_CALLS, ALLOWED_METHODS = (set(TABLE[key].split()) for key in ("calls", "methods"))
BANNED = tuple(getattr(ast, name) for name in TABLE["banned"].split())
MAX_STEPS = 2000
MAX_SIZE = 100_000


def sample(rng: Random) -> Example:
    """Draw a task, its constants, a name and a way to ask for it."""
    tasks = TABLE["tasks"]
    (drawn,) = rng.choices(tasks, weights=[1 + 0.4 * task["body"].count("\n") for task in tasks])
    default, arguments, phrases, body = (
        drawn[key] for key in ("name", "arguments", "phrases", "body")
    )
    parts = _constants(rng)
    phrase = rng.choice(phrases).format(**parts)
    default = default.format(**parts)
    names = arguments.format(**parts).split()
    hidden = set(re.findall("{[nmokw]}|{s}", phrases[0] + body)) - set(re.findall("{.}", default))
    only_name = rng.random() < 0.13 and not hidden
    own_name = rng.random() < 0.45 and not only_name
    own_arguments = rng.random() < 0.2 and arguments != "{d}"
    kinds = [TABLE["kinds"].get(argument, "number") for argument in names]
    function = _own_name(rng, default) if own_name else default
    if only_name or rng.random() < 0.2 * own_name:
        function = rng.choice([default, *drawn.get("also", ())]).format(**parts)
    if own_arguments:
        names = words.distinct(rng, TABLE["own_arguments"][kinds[0]].split(), len(kinds))
    task = phrases[0].format(**parts)
    docstring = f"Return whether {task[1:]}." if task[0] == "?" else f"Return {task}."
    # Words such as "from 1 to n" speak of the argument by its name.
    if arguments == "n":
        phrase, docstring = (t.replace(" to n", f" to {names[0]}") for t in (phrase, docstring))
    code = body.format(A=names[0], B=names[-1], **parts).replace("\n", "\n    ")
    answer = f'def {function}({", ".join(names)}):\n    """{docstring}"""\n    {code}'
    if '"' in docstring[:1] + docstring[-1:]:
        raise ValueError(f"docstring {docstring!r} must neither start nor end with a quote")
    if only_name:
        prompt = _name_prompt(rng, function, names, own_arguments)
    else:
        prompt = _prompt(rng, phrase, function if own_name else "", names if own_arguments else [])
    inputs = _inputs(kinds)
    expected = _run(answer, function, inputs)
    return Example(NAME, prompt, answer, {"name": function, "inputs": inputs, "expected": expected})


def grade(example: Example, text: str) -> dict[str, bool]:
    """Check that the code parses, and that it computes what the reference computes."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {"parses": False, "right": False}
    spec = example.spec
    if not _is_safe(tree, spec["name"]):
        return {"parses": True, "right": False}
    try:
        results = _run(text, spec["name"], spec["inputs"])
    except Exception:  # whatever generated code raises, it is a wrong answer
        return {"parses": True, "right": False}
    return {"parses": True, "right": repr(results) == repr(spec["expected"])}


def _constants(rng: Random) -> dict[str, Any]:
    number = rng.choice([rng.randint(2, 12), rng.randint(2, 20), rng.randint(2, 100)])
    big, small, factor = rng.choice(TABLE["units"])
    return {
        "n": number, "m": rng.randint(1, 20), "o": number + rng.randint(2, 90),
        "c": f"{big}_to_{small}", "d": big, "e": small, "f": factor,
        "k": rng.choice("abcdefghilmnoprstuwxz"), "s": rng.choice(["-", ", ", " ", "_", "/", "+"]),
        "w": rng.choice(["fizz", "buzz", "pop", words.pseudo_word(rng)]),
    }  # fmt: skip


def _own_name(rng: Random, default: str) -> str:
    verbs = TABLE["verbs"].split()
    made_up = [words.pseudo_word(rng)]
    made_up += [f"{rng.choice(verbs)}_{words.pseudo_word(rng)}", f"f{rng.randint(1, 99)}"]
    return rng.choice([default, default, f"{rng.choice(verbs)}_{default}", "f", *made_up])


def _inputs(kinds: list[str]) -> list[list[Any]]:
    if len(kinds) == 2:
        pairs: list[list[Any]] = TABLE["pairs"][kinds[0]]
        return pairs
    return [[value] for value in INPUTS[kinds[0]]]


def _name_prompt(rng: Random, function: str, names: list[str], own: bool) -> str:
    """Ask by the name of the function alone, with its arguments where they are not the usual ones."""
    forms = [form for form in TABLE["names"] if not own or "{all}" in form]
    form = rng.choice(forms)
    plain = "_" not in function
    while ("{spoken}" in form and (plain or re.search(r"\d", function))) or (
        plain and form == "{function}"
    ):
        form = rng.choice(forms)
    spoken = function.replace("_", " ")
    return words.spin(rng, form.format(function=function, all=", ".join(names), spoken=spoken))


def _prompt(rng: Random, phrase: str, function: str, names: list[str]) -> str:
    """Compose opener, name, arguments and task into one request."""
    task = {"+": phrase[1:], "?": "[checks|tests|returns|tells] [if|whether] " + phrase[1:]}.get(
        phrase[0], f"[returns|returns|gives] {phrase}"
    )
    values = {
        "opener": TABLE["opener"],
        "called": f"[named|called|with the name] {function}" if function else "",
        "takes": f"takes {words.joined(names)} and" if names else "",
        "task": task,
        "imperative": _imperative(task),
        "thing": phrase,
        "short": re.sub("^(the|an?) ", "", phrase),
        "function": function,
        "arguments": f"({', '.join(names)})" if names else "",
    }
    more = TABLE["named" if function else "unnamed" if names else "bare"]
    if more is TABLE["bare"] and phrase[0] not in "+?":
        more = more + TABLE["things"]
    forms = more if rng.random() < 0.6 else TABLE["requests"]
    if names:  # which nobody could know if the prompt did not say them
        forms = [form for form in forms if "{takes}" in form or "{arguments}" in form]
    form = rng.choice(forms)
    request = words.spin(rng, form.format(**values)).replace(" ,", ",").replace(" .", ".")
    return words.ask(rng, request) if request.startswith(tuple(TABLE["plain"])) else request


def _imperative(task: str) -> str:
    """Turn "adds two numbers" or "[returns|gives] x" into "add two numbers"."""
    head, _, rest = task.partition(" ")
    if head.startswith("["):
        head = "[check|test|see|find out]" if "checks" in head else "[return|get|find|compute]"
        return f"{head} {rest}"
    return f"{'multiply' if head == 'multiplies' else head[:-1]} {rest}".replace(
        "and adds", "and add"
    )


def _is_safe(tree: ast.Module, function: str) -> bool:
    """Allow one plain function of known calls, short constants and nothing with an underscore attribute."""
    body = tree.body
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef) or body[0].name != function:
        return False
    if body[0].decorator_list or body[0].args.defaults:
        return False
    for node in ast.walk(tree):
        if isinstance(node, BANNED) or (isinstance(node, ast.FunctionDef) and node is not body[0]):
            return False
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            if not isinstance(node.right, ast.Constant) or node.right.value not in (1, 2, 3):
                return False
        if isinstance(node, ast.Attribute) and node.attr not in ALLOWED_METHODS:
            return False
        if isinstance(node, ast.Constant) and isinstance(node.value, int) and node.value > 10_000:
            return False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id not in ALLOWED_CALLS:
                return False
        elif isinstance(node, ast.Call) and not isinstance(node.func, ast.Attribute):
            return False
    return True


def _run(code: str, function: str, inputs: list[list[Any]]) -> list[Any]:
    """Return the results for each input, under restricted builtins, a step limit and a size limit."""
    allowed = {n: getattr(builtins, n) for n in ALLOWED_CALLS} | {"range": _short_range}
    scope: dict[str, Any] = {"__builtins__": allowed}
    exec(code, scope)
    call: Callable[..., Any] = scope[function]
    results = []
    before = sys.gettrace()
    for row in inputs:
        steps = 0

        def watch(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal steps
            steps += 1
            big = any(_is_big(value) for value in frame.f_locals.values())
            if steps > MAX_STEPS or big:
                raise RuntimeError("the function runs too long or builds too much")
            return watch

        copies = [value.copy() if isinstance(value, list | dict) else value for value in row]
        sys.settrace(watch)
        try:
            results.append(call(*copies))
        finally:
            sys.settrace(before)
    return results


def _short_range(*bounds: int) -> range:
    steps = range(*bounds)
    if len(steps) > 10_000:
        raise RuntimeError("the range is too long")
    return steps


def _is_big(value: Any) -> bool:
    if isinstance(value, int | float):
        return abs(value) > 1_000_000
    return isinstance(value, str | list) and len(value) > MAX_SIZE // 100
