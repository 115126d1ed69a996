"""What holds for all tests: no network, two threads, and array shapes checked at every call."""

import os
from pathlib import Path

# Before anything imports huggingface_hub, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import torch
from hypothesis import Phase, settings
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]

# Only modules that state shapes: beartype cannot resolve what others import for type checkers
# alone. The hook stays installed, because the package imports its modules on first use.
# Not those that take what users give: they say themselves what is wrong.
_CHECK_THEMSELVES = {
    "pairs", "reference", "decoding", "custom", "profiling", "new_drafter", "measured", "timing",
}  # fmt: skip
_SHAPED = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "gemma_mtp_edu").rglob("*.py"))
    if path.stem not in _CHECK_THEMSELVES and "jaxtyping" in path.read_text(encoding="utf-8")
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
torch.set_num_threads(2)
