"""The pairs that this project knows by name: ids, sizes, recommended draft length.

Figures come from vllm-project/recipes `Google/Gemma4.md` and google-gemma/cookbook
`docs/mtp/mtp.ipynb`; those of the bundled pair from its model card (`data/pocket/README.md`).
"""

import difflib
import sys
from dataclasses import dataclass

POCKET = "pocket"
FULL = sys.maxsize  # a full-attention layer keeps all tokens


@dataclass(frozen=True, slots=True)
class PairInfo:
    """What is known of a pair before it is loaded."""

    name: str
    target_size: str  # parameters, as published
    drafter_size: str
    # In GB, in bf16 (bundled pair: fp32). E2B and E4B as published, with a short context; the
    # larger ones two bytes a parameter, weights only.
    memory_gb: float
    draft_length: int  # the recommended number of drafts per round
    target: int  # parameters, those of the vision and audio parts included
    drafter: int
    # The target's layers with keys and values of their own, as (how many, key-value heads times
    # head size, tokens that each keeps). An MTP drafter keeps nothing.
    cache: tuple[tuple[int, int, int], ...]
    widest: int  # of the target's feed-forward parts, the inner width; of experts, those that work
    vocabulary: int = 262_144

    @property
    def target_id(self) -> str:
        """Hub id of the target; empty for the bundled pair."""
        return "" if self.name == POCKET else f"google/gemma-4-{self.name}-it"

    @property
    def drafter_id(self) -> str:
        """Hub id of the drafter; empty for the bundled pair."""
        return self.target_id and f"{self.target_id}-assistant"


# Shapes: huggingface/transformers convert_gemma4_weights.py (2026), and for 12B the published
# config.json; targets counted with transformers 5.22.2 on the meta device, 12B from the size of its
# published file (23,919,549,408 bytes in bf16).
_POCKET = (4_958_792, 887_072, ((12, 32, 64), (3, 64, FULL)), 320, 2048)
_E2B = (5_104_297_504, 78_000_000, ((12, 256, 512), (3, 512, FULL)), 12_288)
_E4B = (7_941_100_832, 78_800_000, ((20, 512, 512), (4, 1024, FULL)), 10_240)
_12B = (11_959_774_704, 400_000_000, ((40, 2048, 1024), (8, 512, FULL)), 15_360)
_26B = (25_805_933_872, 400_000_000, ((25, 2048, 1024), (5, 1024, FULL)), 7744)
_31B = (31_273_086_512, 500_000_000, ((50, 4096, 1024), (10, 2048, FULL)), 21_504)
_ALL = (
    PairInfo(POCKET, "5.0M", "0.9M", 0.03, 4, *_POCKET),
    PairInfo("E2B", "2.3B effective / 5.1B", "78M", 13.0, 2, *_E2B),
    PairInfo("E4B", "E4B, 42 layers", "78.8M", 17.4, 4, *_E4B),
    PairInfo("12B", "12B", "0.4B", 24.8, 4, *_12B),
    PairInfo("26B-A4B", "26B, 4B active", "0.4B", 52.8, 4, *_26B),
    PairInfo("31B", "31B", "0.5B", 63.0, 4, *_31B),
)
PAIRS = {info.name: info for info in _ALL}
# What `load_pair` takes, in any case; the bundled pair has no hub id.
_NAMES = {n.casefold(): (n, info) for info in _ALL for n in (info.name, info.target_id) if n}


def find(name: str) -> PairInfo | None:
    """Return the registered pair whose short name or target id is `name`, ignoring case."""
    return _NAMES.get(name.casefold(), (name, None))[1]


def recommended(name: str) -> int | None:
    """Return the recommended number of drafts for a registered pair, or None for any other."""
    return info.draft_length if (info := find(name)) else None


def hint(name: str) -> str:
    """Return the question whether the registered name or id that `name` is most like was meant."""
    near = [_NAMES[found][0] for found in difflib.get_close_matches(name.casefold(), _NAMES, n=1)]
    return f" Did you mean {near[0]!r}?" if near and near != [name] else ""
