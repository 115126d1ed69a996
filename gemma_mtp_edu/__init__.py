"""Learn speculative decoding with Gemma 4's MTP drafters.

Start with `load_pair()` and `reference_generate(pair, "your prompt")`.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemma_mtp_edu.analysis.cost import CostModel as CostModel
    from gemma_mtp_edu.analysis.profile import AcceptanceProfile as AcceptanceProfile
    from gemma_mtp_edu.analysis.profile import acceptance_profile as acceptance_profile
    from gemma_mtp_edu.analysis.reference import reference_generate as reference_generate
    from gemma_mtp_edu.analysis.replay import best_schedule as best_schedule
    from gemma_mtp_edu.analysis.replay import replay as replay
    from gemma_mtp_edu.checkup import doctor as doctor
    from gemma_mtp_edu.core.decoding import autoregressive_generate as autoregressive_generate
    from gemma_mtp_edu.core.decoding import speculative_generate as speculative_generate
    from gemma_mtp_edu.core.schedules import Confidence as Confidence
    from gemma_mtp_edu.core.schedules import Constant as Constant
    from gemma_mtp_edu.core.schedules import FromProfile as FromProfile
    from gemma_mtp_edu.core.schedules import Heuristic as Heuristic
    from gemma_mtp_edu.core.trace import GenerationTrace as GenerationTrace
    from gemma_mtp_edu.core.trace import RoundTrace as RoundTrace
    from gemma_mtp_edu.models.pairs import ModelPair as ModelPair
    from gemma_mtp_edu.models.pairs import load_pair as load_pair
    from gemma_mtp_edu.models.pairs import model_ids as model_ids
    from gemma_mtp_edu.show.widgets import RoundViewer as RoundViewer
    from gemma_mtp_edu.show.widgets import TradeoffExplorer as TradeoffExplorer

__version__ = "0.1.0"

# Imported on first use: `import gemma_mtp_edu` must not cost the seconds that torch takes to load.
_HOMES = {
    "AcceptanceProfile": "analysis.profile",
    "CostModel": "analysis.cost",
    "TradeoffExplorer": "show.widgets",
    "acceptance_profile": "analysis.profile",
    "best_schedule": "analysis.replay",
    "doctor": "checkup",
    "Confidence": "core.schedules",
    "Constant": "core.schedules",
    "FromProfile": "core.schedules",
    "Heuristic": "core.schedules",
    "RoundViewer": "show.widgets",
    "autoregressive_generate": "core.decoding",
    "speculative_generate": "core.decoding",
    "GenerationTrace": "core.trace",
    "ModelPair": "models.pairs",
    "RoundTrace": "core.trace",
    "load_pair": "models.pairs",
    "model_ids": "models.pairs",
    "reference_generate": "analysis.reference",
    "replay": "analysis.replay",
}
# What a lesson calls, under the short names that its first cells use.
_MODULES = {"lesson": "lessons.setup", "checks": "lessons.checks", "plots": "show.plots"}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{_MODULES[name]}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ImportError:
        # Some transformers releases fail while they are loaded: say what to install instead.
        import_module(f"{__name__}.models.compatibility").check_transformers()
        raise


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _register_views() -> None:
    """Let a notebook show a trace as HTML: by name, so that `core` need not know of `show`."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None:
        shell.display_formatter.formatters["text/html"].for_type_by_name(
            f"{__name__}.core.trace",
            "GenerationTrace",
            lambda trace: import_module(f"{__name__}.show.views").html_view(trace),
        )


_register_views()
