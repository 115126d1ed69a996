"""How large the known pairs are: parameters, and what the target's cache keeps of a token."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

from gemma_mtp_edu.models.registry import POCKET


@dataclass(frozen=True, slots=True)
class CacheShape:
    """What a target keeps of each token.

    Attributes:
        sliding: Sliding-window layers with keys and values of their own.
        full: Full-attention layers with keys and values of their own.
        sliding_width: Key-value heads times head size in a sliding layer.
        full_width: The same in a full-attention layer.
        window: Tokens that a sliding layer keeps.
    """

    sliding: int
    full: int
    sliding_width: int
    full_width: int
    window: int

    def numbers(self, context_length: int) -> int:
        """Return how many numbers, keys and values, stand in the cache after that many tokens.

        >>> CacheShape(12, 3, 256, 512, 512).numbers(2048)
        9437184
        """
        kept = min(context_length, self.window)
        sliding = self.sliding * self.sliding_width * kept
        return 2 * (sliding + self.full * self.full_width * context_length)


@dataclass(frozen=True, slots=True)
class PairSize:
    """Numbers that a pair is made of.

    Attributes:
        target: Parameters of the target, its vision and audio parts included.
        drafter: Parameters of the drafter.
        cache: What the target keeps of each token; an MTP drafter keeps nothing.
        widest: Inner width of the target's widest feed-forward part; of experts, those that work.
        vocabulary: Tokens in the vocabulary.
    """

    target: int
    drafter: int
    cache: CacheShape
    widest: int
    vocabulary: int = 262_144


# Shapes: huggingface/transformers convert_gemma4_weights.py (2026), and for 12B the published
# config.json; targets counted with transformers 5.22.2 on the meta device, 12B from the size of its
# published file (23,919,549,408 bytes in bf16); drafters as in `registry`.
SIZES: Mapping[str, PairSize] = MappingProxyType(
    {
        POCKET: PairSize(4_958_792, 887_072, CacheShape(12, 3, 32, 64, 64), 320, 2048),
        "E2B": PairSize(5_104_297_504, 78_000_000, CacheShape(12, 3, 256, 512, 512), 12_288),
        "E4B": PairSize(7_941_100_832, 78_800_000, CacheShape(20, 4, 512, 1024, 512), 10_240),
        "12B": PairSize(11_959_774_704, 400_000_000, CacheShape(40, 8, 2048, 512, 1024), 15_360),
        "26B-A4B": PairSize(25_805_933_872, 400_000_000, CacheShape(25, 5, 2048, 1024, 1024), 7744),
        "31B": PairSize(31_273_086_512, 500_000_000, CacheShape(50, 10, 4096, 2048, 1024), 21_504),
    }
)


def size_of(target_config: Any, drafter_config: Any) -> PairSize:
    """Return the numbers of a pair from its configurations; nothing is allocated.

    Args:
        target_config: Configuration of any Gemma 4 target, with or without vision and audio.
        drafter_config: Configuration of its drafter.
    """
    text = target_config.get_text_config()
    return PairSize(
        _parameters(target_config),
        _parameters(drafter_config),
        _cache_of(text),
        _widest(text),
        text.vocab_size,
    )


def _cache_of(text: Any) -> CacheShape:
    # The last layers of E2B and E4B read the keys and values of earlier ones.
    own = text.num_hidden_layers - text.num_kv_shared_layers
    widths: dict[str, list[int]] = {"sliding_attention": [], "full_attention": []}
    for kind, layer in zip(text.layer_types[:own], text.per_layer_config[:own], strict=True):
        widths[kind].append(layer.num_key_value_heads * layer.head_dim)
    sliding, full = widths.values()
    return CacheShape(
        len(sliding), len(full), max(sliding, default=0), max(full, default=0), text.sliding_window
    )


def _widest(text: Any) -> int:
    # The unified configurations know no experts.
    experts = getattr(text, "top_k_experts", 0) or 0
    inner = getattr(text, "moe_intermediate_size", 0) or 0
    width: int = text.intermediate_size * (2 if text.use_double_wide_mlp else 1)
    return width + experts * inner


def _parameters(config: Any) -> int:
    torch, transformers = import_module("torch"), import_module("transformers")
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())
