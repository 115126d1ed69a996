"""What holds for all tests: no network, one thread, and array shapes checked at every call."""

import os
from pathlib import Path

# Before anything imports huggingface_hub, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
# Before torch: a worker of pytest-xdist has one core, and processes that tests start inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from hypothesis import Phase, settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]

# Only modules that state shapes: beartype cannot resolve what others import for type checkers
# alone. Not those that take what users give and say themselves what is wrong with it: a comment
# beside their import of jaxtyping says so. The hook stays, as modules are imported on first use.
_SHAPED = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "gemma_mtp_edu").rglob("*.py"))
    if "jaxtyping" in (text := path.read_text(encoding="utf-8")) and "  # an edge: " not in text
]
install_import_hook(_SHAPED, "beartype.beartype")

# The same examples everywhere, so that CI cannot fail by chance; no deadline on a busy machine. Not
# `explain`: it traces every line of a model when an example fails.
settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
settings.load_profile("repeatable")
torch.set_num_threads(1)
