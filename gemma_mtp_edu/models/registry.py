"""The pairs that this project knows by name, of `data/pairs.json`: ids, sizes, draft length.

Figures come from vllm-project/recipes `Google/Gemma4.md` and google-gemma/cookbook
`docs/mtp/mtp.ipynb`; those of the bundled pair from its model card (`data/pocket/README.md`).
Shapes: huggingface/transformers convert_gemma4_weights.py (2026), and for 12B the published
config.json; targets counted with transformers 5.22.2 on the meta device, 12B from the size of its
published file (23,919,549,408 bytes in bf16).
"""

import difflib
import json
from dataclasses import dataclass
from pathlib import Path

POCKET = "pocket"


@dataclass(frozen=True, slots=True)
class PairInfo:
    """What is known of a pair before it is loaded."""

    name: str
    target_size: str  # parameters, as published
    drafter_size: str
    draft_length: int  # the recommended number of drafts per round
    target: int  # parameters, those of the vision and audio parts included
    drafter: int
    # The target's layers with keys and values of their own, as [how many, key-value heads times
    # head size, tokens that each keeps; null: all]. An MTP drafter keeps nothing.
    cache: list[tuple[int, int, int | None]]
    widest: int  # of the target's feed-forward parts, the inner width; of experts, those that work
    vocabulary: int = 262_144

    @property
    def memory_gb(self) -> float:
        """Memory of both models' weights in bf16 (bundled: fp32), in GB of 1e9 bytes."""
        return round((4 if self.name == POCKET else 2) * (self.target + self.drafter) / 1e9, 2)

    @property
    def target_id(self) -> str:
        """Hub id of the target; empty for the bundled pair."""
        return "" if self.name == POCKET else f"google/gemma-4-{self.name}-it"

    @property
    def drafter_id(self) -> str:
        """Hub id of the drafter; empty for the bundled pair."""
        return self.target_id and f"{self.target_id}-assistant"


_DATA = Path(__file__).parents[1] / "data"
_FILE = _DATA / "pairs.json"
_ALL = [PairInfo(**record) for record in json.loads(_FILE.read_text(encoding="utf-8"))]
# By workload; the bundled pair was trained on such tasks, but not on these prompts.
PROMPTS = json.loads((_DATA / "prompts.json").read_text(encoding="utf-8"))
PAIRS = {info.name: info for info in _ALL}
# What `load_pair` takes, in any case; the bundled pair has no hub id.
_NAMES = {n.casefold(): (n, info) for info in _ALL for n in (info.name, info.target_id) if n}


def find(name: str) -> PairInfo | None:
    """Return the registered pair whose short name or target id is `name`, ignoring case."""
    return _NAMES.get(name.casefold(), (name, None))[1]


def hint(name: str) -> str:
    """Return the question whether the registered name or id that `name` is most like was meant."""
    near = [_NAMES[found][0] for found in difflib.get_close_matches(name.casefold(), _NAMES, n=1)]
    return f" Did you mean {near[0]!r}?" if near and near != [name] else ""
