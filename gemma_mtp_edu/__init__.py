"""Learn speculative decoding with Gemma 4's MTP drafters.

Start with `load_pair()` and `reference_generate(pair, "your prompt")`.
"""

import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.cost import CostModel
    from gemma_mtp_edu.analysis.profile import AcceptanceProfile, acceptance_profile
    from gemma_mtp_edu.analysis.reference import reference_generate
    from gemma_mtp_edu.analysis.replay import best_schedule, replay
    from gemma_mtp_edu.checkup import doctor
    from gemma_mtp_edu.core.decoding import autoregressive_generate, speculative_generate
    from gemma_mtp_edu.core.schedules import Confidence, Constant, FromProfile, Heuristic
    from gemma_mtp_edu.core.trace import GenerationTrace, RoundTrace
    from gemma_mtp_edu.models.memory import memory_plan
    from gemma_mtp_edu.models.pairs import ModelPair, load_pair, model_ids
    from gemma_mtp_edu.show.widgets import RoundViewer, TradeoffExplorer

__version__ = "0.1.0"
# Before torch is loaded: threads that wait for each other must not keep the cores from working.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Imported on first use: `import gemma_mtp_edu` must not cost the seconds that torch takes to load.
_NAMES = {
    "analysis.cost": "CostModel",
    "analysis.profile": "AcceptanceProfile acceptance_profile",
    "analysis.reference": "reference_generate",
    "analysis.replay": "best_schedule replay",
    "checkup": "doctor",
    "core.decoding": "autoregressive_generate speculative_generate",
    "core.schedules": "Confidence Constant FromProfile Heuristic",
    "core.trace": "GenerationTrace RoundTrace",
    "lessons.checks": "check",
    "models.memory": "memory_plan",
    "models.pairs": "ModelPair load_pair model_ids",
    "models.registry": "PROMPTS",
    "show.widgets": "RoundViewer TradeoffExplorer",
}
# What a lesson calls, under the short names that its first cells use.
_MODULES = {"lesson": "lessons.setup", "plots": "show.plots"}
__all__ = sorted(name for names in _NAMES.values() for name in names.split())


def for_console(text: str) -> str:
    """Return a text with escapes for what standard output has no letters for."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def lazily(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's `__getattr__`, from its names, blanks between them, by module."""
    homes = {name: module for module, listed in names.items() for name in listed.split()}

    def offered(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return offered


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    try:
        return lazily(__name__, _NAMES)(name)
    except ImportError:
        # Some transformers releases fail while they are loaded: say what to install instead.
        import_module(f"{__name__}.models.compatibility").check_transformers()
        raise


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


# A notebook shows a trace as HTML: by name, so that `core` need not know of `show`.
if shell := getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)():
    shell.display_formatter.formatters["text/html"].for_type_by_name(
        f"{__name__}.core.trace",
        "GenerationTrace",
        lambda trace: import_module(f"{__name__}.show.views").html_view(trace),
    )
