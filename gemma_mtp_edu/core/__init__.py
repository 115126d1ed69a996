"""How does it work? The loops, and what they are made of."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a folder's `__getattr__`, which takes a name from its module when it is asked for.

    So lessons need not know the modules, and nobody waits for torch before it is needed.

    Args:
        package: The folder's `__name__`.
        names: What the folder offers, separated by blanks, by module.
    """
    homes = {name: module for module, listed in names.items() for name in listed.split()}

    def offered(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return offered
