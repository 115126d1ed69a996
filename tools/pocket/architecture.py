"""The table of what both models are made of, from the pair's configurations and weights."""

import json
import math
from pathlib import Path
from typing import Any

from safetensors import safe_open

from tools.document import table


def architecture(folder: Path) -> str:
    """Return a table of both models' sizes, from the pair's configurations and weights."""
    rows: dict[str, list[str]] = {}
    for role in ("target", "drafter"):
        config = json.loads((folder / role / "config.json").read_text(encoding="utf-8"))
        weights = folder / role / "model.safetensors"
        for name, value in (_sizes(config) | _weights(weights)).items():
            rows.setdefault(name, []).append(value)
    return table(["", "target", "drafter"], [[name, *values] for name, values in rows.items()])


def _sizes(config: dict[str, Any]) -> dict[str, str]:
    text = config.get("text_config", config)
    kinds = text["layer_types"]
    full = kinds.count("full_attention")
    width = text["intermediate_size"]
    wide = f", {2 * width} where KV is shared" if text["use_double_wide_mlp"] else ""
    full_heads = {layer["head_dim"] for layer in text["per_layer_config"].values()}
    return {
        "class": f"`{config['architectures'][0]}`",
        "layers": f"{len(kinds)}: {len(kinds) - full} sliding, {full} full attention",
        "sliding window": f"{text['sliding_window']} tokens",
        "layers without KV of their own": str(text["num_kv_shared_layers"]),
        "hidden size": str(text["hidden_size"]),
        "feed-forward size": f"{width}{wide}",
        "heads, KV heads": f"{text['num_attention_heads']}, {text['num_key_value_heads']}",
        "head size": f"{text['head_dim']} sliding, {', '.join(map(str, full_heads))} full",
        "vocabulary": f"{text['vocab_size']:,}, embeddings tied",
        "per-layer embeddings": str(text["hidden_size_per_layer_input"] or "none"),
        "logit soft-capping": str(text["final_logit_softcapping"] or "none"),
        "centroid head": _centroids(config, text["vocab_size"]),
    }


def _centroids(config: dict[str, Any], vocabulary: int) -> str:
    if not config.get("use_ordered_embeddings"):
        return "none"
    clusters, best = config["num_centroids"], config["centroid_intermediate_top_k"]
    scored = vocabulary // clusters * best
    return f"{clusters} clusters, the best {best} are searched: {scored} tokens are scored"


def _weights(path: Path) -> dict[str, str]:
    with safe_open(str(path), "pt") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys() if _is_trained(name)]
    return {
        "parameters": f"{sum(map(math.prod, shapes)):,}",
        "size in fp32": f"{path.stat().st_size / 1e6:.1f} MB",
    }


def _is_trained(name: str) -> bool:
    return not name.endswith(("layer_scalar", "token_ordering"))
