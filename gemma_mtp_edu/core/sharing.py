"""Who may use a model at the same time: many threads may run it, and only one may change it.

Both loops keep all they know in objects of their own, so threads can share a pair. But what changes
a model for a while (an ablation, a training) would change it under the others' feet: whoever comes
second is refused, and nothing waits.
"""

import copy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, get_ident
from typing import Any
from weakref import WeakKeyDictionary

from gemma_mtp_edu.lessons.language import tr


class BusyModelError(RuntimeError):
    """Another thread uses or changes this model."""


@dataclass(slots=True)
class _Use:
    """How often each thread runs a model and changes it; a thread may nest both."""

    runs: Counter[int] = field(default_factory=Counter)
    changes: Counter[int] = field(default_factory=Counter)


_uses: WeakKeyDictionary[Any, _Use] = WeakKeyDictionary()
_lock = Lock()


@contextmanager
def running(*models: Any) -> Iterator[None]:
    """Run models; no other thread may change them meanwhile.

    Raises:
        BusyModelError: Another thread is changing one of them.
    """
    with _counted(models, is_change=False):
        yield


@contextmanager
def changing(*models: Any) -> Iterator[None]:
    """Change models and put them back; no other thread may run or change them meanwhile.

    Raises:
        BusyModelError: Another thread runs or changes one of them.
    """
    with _counted(models, is_change=True):
        yield


@contextmanager
def _counted(models: tuple[Any, ...], *, is_change: bool) -> Iterator[None]:
    me, entered = get_ident(), []
    try:
        for model in models:
            with _lock:
                use = _uses.setdefault(model, _Use())
                _refuse(model, use, me, is_change=is_change)
                counts = use.changes if is_change else use.runs
                counts[me] += 1
                entered.append(counts)
        yield
    finally:
        with _lock:
            for counts in entered:
                counts[me] -= 1
                if not counts[me]:
                    del counts[me]


def _refuse(model: Any, use: _Use, me: int, *, is_change: bool) -> None:
    changed = any(thread != me for thread in use.changes)
    run = any(thread != me for thread in use.runs)
    if changed or (is_change and run):
        wanted = tr("change" if is_change else "run")
        doing = tr("changing" if changed else "running")
        raise BusyModelError(
            tr(
                "cannot {wanted} the {kind}: another thread is {doing} it, and what changes "
                "(an ablation, a training) serves nobody else; wait for that thread, or "
                "load a second pair",
                wanted=wanted,
                kind=type(model).__name__,
                doing=doing,
            )
        )


_OWN = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


def view_of(model: Any) -> Any:
    """Return the same model, with the same weights, but hooks and generation settings of its own.

    What is hooked or set on the view is gone with it, whatever happens, and no other thread that
    runs the model ever sees it.
    """
    view = copy.copy(model)
    for name in _OWN:
        setattr(view, name, copy.copy(getattr(model, name)))
    view.generation_config = copy.copy(model.generation_config)
    return view
