"""Plan memory before anything is loaded: what a pair needs, whether it fits, which pair to take.

Bytes only; nothing here asks the machine. `memory.free_memory` says what is free.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from types import MappingProxyType
from typing import Any

from gemma_mtp_edu.core.arguments import check_kind, got, real, whole
from gemma_mtp_edu.lessons.language import tr
from gemma_mtp_edu.models.pair_size import SIZES, PairSize, size_of
from gemma_mtp_edu.models.registry import PAIRS, POCKET, find

DTYPE_BYTES: Mapping[str, int] = MappingProxyType({"float32": 4, "bfloat16": 2, "float16": 2})
CONTEXT = 2048  # tokens of prompt and answer, where the caller says nothing
# Rows of logits in a verify pass, and float32 copies of them that exist at once.
_ROWS, _COPIES = 17, 4
_PROFILE_BYTES = 2**28  # what `profiling.CHUNK_BYTES` lets an acceptance profile take
_ROOM = 2 / 3


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What a pair needs, by part, in bytes; the Python process itself comes on top.

    Attributes:
        name: The pair.
        dtype: Number format of weights and cache.
        context_length: Tokens of prompt and answer together.
        target_bytes: The target's weights.
        drafter_bytes: The drafter's weights.
        cache_bytes: Keys and values of the whole context.
        working_bytes: Room to read a prompt of the whole context, to verify, and for an acceptance
            profile. Where a larger need of the whole pair is published, the difference is in it.
    """

    name: str
    dtype: str
    context_length: int
    target_bytes: int
    drafter_bytes: int
    cache_bytes: int
    working_bytes: int

    @property
    def parts(self) -> dict[str, int]:
        """The bytes by part: target, drafter, cache, working."""
        return {
            "target": self.target_bytes,
            "drafter": self.drafter_bytes,
            "cache": self.cache_bytes,
            "working": self.working_bytes,
        }

    @property
    def total_bytes(self) -> int:
        """All parts together."""
        return sum(self.parts.values())

    def fits(self, free_bytes: float) -> bool:
        """Return whether the pair can be loaded and used with that much free memory.

        Raises:
            ValueError: It is not a number.
        """
        return self.total_bytes <= real(free_bytes, "free_bytes", tr("bytes, such as 16e9"))

    def describe(self, free_bytes: int) -> str:
        """Return one line: the need by part, and whether it fits."""
        parts = ", ".join(f"{name} {gigabytes(size)}" for name, size in self.parts.items())
        return tr(
            "{name} in {dtype} needs {need} ({parts}) for {context} tokens: fits in {free}"
            if self.fits(free_bytes)
            else "{name} in {dtype} needs {need} ({parts}) for {context} tokens: does not fit in "
            "{free}",
            name=self.name,
            dtype=self.dtype,
            need=gigabytes(self.total_bytes),
            parts=parts,
            context=self.context_length,
            free=gigabytes(free_bytes),
        )


def memory_plan(
    pair: str | tuple[Any, Any],
    dtype: Any = "bfloat16",
    context_length: int = CONTEXT,
    *,
    name: str = "",
) -> MemoryPlan:
    """Return what a pair needs.

    Args:
        pair: A registered name or hub id; or the configurations of target and drafter, from which
            every parameter is counted without any memory for it.
        dtype: "float32", "bfloat16", "float16", or the torch dtype.
        context_length: Tokens of prompt and answer together.
        name: What to call a pair that is given by its configurations.

    Raises:
        ValueError: The name is not registered, the configurations are none, the dtype is another
            one, or the context has no tokens.
    """
    dtype = str(dtype).removeprefix("torch.")
    if dtype not in DTYPE_BYTES:
        raise ValueError(
            tr(
                "got dtype {dtype!r}, need one of {known}",
                dtype=dtype,
                known=", ".join(DTYPE_BYTES),
            )
        )
    context_length = whole(context_length, "context_length", 1, " of tokens")
    if not isinstance(pair, str):
        return _plan(name or "pair", size_of(*_configs(pair)), dtype, context_length)
    info = find(pair)
    if info is None:
        raise ValueError(
            tr(
                "no registered pair {pair!r}: need one of {pairs}",
                pair=pair,
                pairs=", ".join(PAIRS),
            )
        )
    width = DTYPE_BYTES[dtype]
    # The bundled pair's figure is for float32, the others' for 16 bit.
    published = info.memory_gb * 1e9 * width / (4 if info.name == POCKET else 2)
    return _plan(info.name, SIZES[info.name], dtype, context_length, int(published))


def _configs(pair: Any) -> tuple[Any, Any]:
    needed = tr("a registered name, or the configurations of target and drafter")
    check_kind(pair, (tuple, list), "pair", needed)
    if len(pair) != 2 or not all(hasattr(config, "get_text_config") for config in pair):
        raise ValueError(got(pair, "pair", needed))
    target, drafter = pair
    return target, drafter


def pick_pair(
    free_bytes: float,
    compute_capability: tuple[int, int] | None,
    *,
    context_length: int = CONTEXT,
) -> tuple[str, str]:
    """Return the pair and dtype for a GPU; the bundled pair where there is none or it is too small.

    E2B is taken as soon as it fits. A larger pair is only worth its download and its slower steps
    where a third of the memory stays free for long contexts. `load_pair` takes both values.

    Args:
        free_bytes: Free memory of the GPU.
        compute_capability: Of an NVIDIA GPU, such as (7, 5) of a T4; None for any other device.
        context_length: Tokens of prompt and answer together.

    Returns:
        A registered name, and the dtype that `load_pair` chooses there: bf16 from compute
        capability 8, else fp16; the bundled pair is always in fp32.

    Raises:
        ValueError: A number is out of range, or the capability is no pair of numbers.
    """
    free_bytes = real(free_bytes, "free_bytes", tr("bytes, such as 16e9"))
    picked = (POCKET, "float32")
    if compute_capability is None:
        return picked
    dtype = dtype_on(compute_capability)
    for name in PAIRS:
        if name == POCKET:
            continue
        plan = memory_plan(name, dtype, context_length)
        if plan.fits(free_bytes if name == "E2B" else _ROOM * free_bytes):
            picked = (name, dtype)
    return picked


def dtype_on(compute_capability: tuple[int, int] | None) -> str:
    """Return the dtype for a large pair on an NVIDIA GPU of that compute capability, or on a CPU.

    >>> dtype_on((7, 5)), dtype_on((8, 9)), dtype_on(None)
    ('float16', 'bfloat16', 'float32')

    Raises:
        ValueError: The capability is no pair of numbers.
    """
    if compute_capability is None:
        return "float32"
    if not _is_capability(compute_capability):
        needed = tr("two numbers such as (7, 5), or None")
        raise ValueError(got(compute_capability, "compute_capability", needed))
    return "bfloat16" if compute_capability >= (8, 0) else "float16"


def _is_capability(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and all(isinstance(part, Integral) for part in value)
    )


def _plan(
    name: str, size: PairSize, dtype: str, context_length: int, published: int = 0
) -> MemoryPlan:
    width = DTYPE_BYTES[dtype]
    weights = width * size.target, width * size.drafter
    cache = width * size.cache.numbers(context_length)
    # A prompt is read in one pass: gate, up and their product of all its tokens exist at once.
    prefill = width * 3 * size.widest * context_length
    working = _PROFILE_BYTES + 4 * _ROWS * _COPIES * size.vocabulary + prefill
    return MemoryPlan(
        name, dtype, context_length, *weights, cache, max(working, published - sum(weights))
    )


def gigabytes(size: float) -> str:
    """Return bytes in words.

    >>> gigabytes(10_208_595_008), gigabytes(18_874_368)
    ('10.2 GB', '0.02 GB')
    """
    return f"{size / 1e9:.{1 if size >= 1e9 else 2}f} GB"
