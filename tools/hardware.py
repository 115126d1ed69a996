"""The README's table of what runs where, from the registry and from what `load_pair` chooses."""

from dataclasses import dataclass

from gemma_mtp_edu.models.memory import gigabytes, memory_plan
from gemma_mtp_edu.models.registry import PAIRS, POCKET, PairInfo
from tools import document

NAMES = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}


@dataclass(frozen=True, slots=True)
class Place:
    """A machine that a learner may have.

    Attributes:
        name: What the table calls it.
        memory_gb: Memory for the models in GB; None where machines differ.
        capability: Compute capability of the GPU; None for a CPU.
        dtype: What `load_pair` chooses there for any pair but the bundled one.
    """

    name: str
    memory_gb: float | None
    capability: tuple[int, int] | None
    dtype: str


# GB of 1e9 bytes that torch finds free: 14.56, 22 and 39.1 GiB.
PLACES = (
    Place("CPU", None, None, "float32"),
    Place("Colab T4", 15.6, (7, 5), "float16"),
    Place("Colab L4", 23.6, (8, 9), "bfloat16"),
    Place("Colab A100", 42, (8, 0), "bfloat16"),
)


def memory_gb(info: PairInfo, place: Place) -> float:
    """Return the memory in GB that a pair needs in the dtype that `load_pair` chooses there."""
    dtype = "float32" if info.name == POCKET else place.dtype
    return memory_plan(info.name, dtype).total_bytes / 1e9


def fits(info: PairInfo, place: Place) -> bool:
    """Return whether a pair's memory is there; on a CPU that is for its owner to say."""
    return place.memory_gb is None or memory_gb(info, place) < place.memory_gb


def table() -> str:
    """Return the table in Markdown: a row for each pair, a column for each place."""
    header = ["pair", "target", "drafter", "memory for both", *map(_heading, PLACES)]
    return document.table(header, [_row(info) for info in PAIRS.values()])


def _heading(place: Place) -> str:
    dtype = NAMES[place.dtype]
    return f"{place.name}, {dtype}" + (f", {place.memory_gb:g} GB" if place.memory_gb else "")


def _row(info: PairInfo) -> list[str]:
    cells = [_cell(info, place) for place in PLACES]
    return [f"`{info.name}`", info.target_size, info.drafter_size, _memory(info), *cells]


def _memory(info: PairInfo) -> str:
    dtype = "float32" if info.name == POCKET else "bfloat16"
    return f"{gigabytes(memory_plan(info.name, dtype).total_bytes)} in {NAMES[dtype]}"


def _cell(info: PairInfo, place: Place) -> str:
    if place.memory_gb is None and info.name != POCKET:
        return f"needs {memory_gb(info, place):.0f} GB"
    return "yes" if fits(info, place) else "no"
