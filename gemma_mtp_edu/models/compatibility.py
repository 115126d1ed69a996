"""Which transformers release can run a Gemma 4 drafter, and whether two models fit together.

Nothing heavy is imported here: some releases fail while they load, and must be refused, too.
Measured with small pairs: before 5.8 the drafter class is absent; 5.8 to 5.17 hand the first draft
the wrong hidden state (transformers#48703), 5.12.1 and 5.13.1 crash past the sliding window
(transformers#46629); 5.18, 5.19 raise TypeError on assisted calls; 5.23.0 constructs no drafter.
"""

import importlib.metadata
import sys
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

OLDEST = Version("5.20.2")
REQUIREMENT = f"transformers>={OLDEST},!=5.23.*"
KV_TYPES = ("full_attention", "sliding_attention")


class UnsupportedReleaseError(ImportError):
    """The installed transformers release cannot run a Gemma 4 drafter."""


class IncompatiblePairError(ValueError):
    """Target and drafter do not fit together."""


def check_transformers(version: str | None = None) -> None:
    """Raise unless a transformers release, by default the one here, can run a Gemma 4 drafter."""
    # The one that is loaded, or else installed; it is not loaded for that.
    version = version or getattr(sys.modules.get("transformers"), "__version__", None)
    version = version or importlib.metadata.version("transformers")
    # Development builds of a release count as that release: 5.23.0.dev0 has 5.23's fault.
    if not Requirement(REQUIREMENT).specifier.contains(Version(version).base_version):
        got = f"got transformers {version}, which cannot run a Gemma 4 drafter, or runs it wrongly"
        how = f'run  pip install "{REQUIREMENT}"  and restart Python'
        raise UnsupportedReleaseError(f"{got}: {how}")


def is_mtp_drafter(config: Any) -> bool:
    """Return whether a configuration is that of a Gemma 4 MTP drafter."""
    return config.model_type in ("gemma4_assistant", "gemma4_unified_assistant")


def kv_layers(target: Any) -> dict[str, int]:
    """Return, per attention type, the target layer whose keys and values the drafter reads.

    It is the last one that makes its own (transformers 5.22.2, `Gemma4TextAttention`).
    """
    text = target.get_text_config()
    shared = getattr(text, "num_kv_shared_layers", 0)
    own = text.layer_types[: text.num_hidden_layers - shared]
    return {kind: len(own) - 1 - own[::-1].index(kind) for kind in KV_TYPES if kind in own}


def check_pair(target: Any, drafter: Any) -> None:
    """Raise unless a drafter can draft for a target, asked of their configurations alone."""
    if is_mtp_drafter(target):
        raise IncompatiblePairError(f"the target is a {target.model_type}, a drafter: swap them")
    text, heads = target.get_text_config(), drafter.get_text_config()
    _check_same("vocabulary", text.vocab_size, "vocabulary", heads.vocab_size)
    if not is_mtp_drafter(drafter):
        return
    width = drafter.backbone_hidden_size
    _check_same("hidden_size", text.hidden_size, "backbone_hidden_size", width)
    producers = kv_layers(target) if getattr(text, "layer_types", None) else {}
    if lacking := [kind for kind in KV_TYPES if kind not in producers]:
        told = f"the target ({target.model_type}) has no {lacking[0]} layer with KV of its own"
        raise IncompatiblePairError(f"{told}, which an MTP drafter reads: use a Gemma 4 target")
    for kind in dict.fromkeys(heads.layer_types):
        # The drafter attends to the target's keys and values, so heads must have one size.
        given = text.per_layer_config[producers[kind]]
        needed = heads.per_layer_config[heads.layer_types.index(kind)]
        for name in ("head_dim", "num_key_value_heads"):
            _check_same(
                f"{kind} {name}", getattr(given, name), f"{kind} {name}", getattr(needed, name)
            )
    centroids, searched = drafter.num_centroids, drafter.centroid_intermediate_top_k
    fits = 1 <= searched <= centroids and heads.vocab_size % centroids == 0
    if drafter.use_ordered_embeddings and not fits:
        got = f"got num_centroids {centroids} and centroid_intermediate_top_k {searched}"
        need = f"a num_centroids that divides the vocabulary of {heads.vocab_size}"
        raise IncompatiblePairError(f"{got}, need {need}, and 1 to all of them")


def _check_same(name: str, target: int, drafter_name: str, drafter: int) -> None:
    if target != drafter:
        made = "this drafter was made for another target"
        take = "take the one whose id is the target's id + '-assistant'"
        sizes = f"drafter {drafter_name} {drafter} != target {name} {target}"
        raise IncompatiblePairError(f"{sizes}: {made}; {take}")
