"""Learn speculative decoding with Gemma 4's MTP drafters.

Start with `load_pair()` and `reference_generate(pair, "your prompt")`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gemma_mtp_edu.cost import CostModel as CostModel
    from gemma_mtp_edu.decoding import autoregressive_generate as autoregressive_generate
    from gemma_mtp_edu.decoding import speculative_generate as speculative_generate
    from gemma_mtp_edu.examination import doctor as doctor
    from gemma_mtp_edu.explorer import TradeoffExplorer as TradeoffExplorer
    from gemma_mtp_edu.pairs import ModelPair as ModelPair
    from gemma_mtp_edu.pairs import load_pair as load_pair
    from gemma_mtp_edu.pairs import model_ids as model_ids
    from gemma_mtp_edu.plots import plot_layers as plot_layers
    from gemma_mtp_edu.plots import plot_pass_times as plot_pass_times
    from gemma_mtp_edu.plots import plot_rounds as plot_rounds
    from gemma_mtp_edu.profile import AcceptanceProfile as AcceptanceProfile
    from gemma_mtp_edu.profiling import acceptance_profile as acceptance_profile
    from gemma_mtp_edu.reference import reference_generate as reference_generate
    from gemma_mtp_edu.replay import best_schedule as best_schedule
    from gemma_mtp_edu.schedules import Confidence as Confidence
    from gemma_mtp_edu.schedules import Constant as Constant
    from gemma_mtp_edu.schedules import FromProfile as FromProfile
    from gemma_mtp_edu.schedules import Heuristic as Heuristic
    from gemma_mtp_edu.trace import GenerationTrace as GenerationTrace
    from gemma_mtp_edu.trace import RoundTrace as RoundTrace
    from gemma_mtp_edu.widgets import RoundViewer as RoundViewer

__version__ = "0.1.0"

# Imported on first use: `import gemma_mtp_edu` must not cost the seconds that torch takes to load.
_HOMES = {
    "AcceptanceProfile": "profile",
    "CostModel": "cost",
    "TradeoffExplorer": "explorer",
    "acceptance_profile": "profiling",
    "best_schedule": "replay",
    "doctor": "examination",
    "Confidence": "schedules",
    "Constant": "schedules",
    "FromProfile": "schedules",
    "Heuristic": "schedules",
    "RoundViewer": "widgets",
    "autoregressive_generate": "decoding",
    "speculative_generate": "decoding",
    "GenerationTrace": "trace",
    "ModelPair": "pairs",
    "RoundTrace": "trace",
    "load_pair": "pairs",
    "model_ids": "pairs",
    "plot_layers": "plots",
    "plot_pass_times": "plots",
    "plot_rounds": "plots",
    "reference_generate": "reference",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ImportError:
        # Some transformers releases fail while they are loaded: say what to install instead.
        import_module(f"{__name__}.releases").check_transformers()
        raise


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
