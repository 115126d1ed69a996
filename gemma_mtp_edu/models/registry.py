"""The pairs that this project knows by name: ids, sizes, memory, recommended draft length, sources.

Figures come from vllm-project/recipes `Google/Gemma4.md` and google-gemma/cookbook
`docs/mtp/mtp.ipynb`; those of the bundled pair from its model card.
"""

import difflib
from dataclasses import dataclass

POCKET = "pocket"


@dataclass(frozen=True, slots=True)
class PairInfo:
    """What is known of a pair before it is loaded.

    Attributes:
        name: Short name that `load_pair` takes.
        target_id: Hub id of the target; empty for the bundled pair.
        drafter_id: Hub id of the drafter.
        target_size: Parameters of the target, as published.
        drafter_size: Parameters of the drafter.
        memory_gb: Memory that the pair needs, in GB, in bf16 (bundled pair: fp32). E2B and E4B as
            published, with a short context; the larger ones two bytes a parameter, weights only.
        draft_length: Recommended number of drafts per round.
        source: Where the figures stand.
    """

    name: str
    target_id: str
    drafter_id: str
    target_size: str
    drafter_size: str
    memory_gb: float
    draft_length: int
    source: str


_RECIPE = "vllm-project/recipes Google/Gemma4.md"


def _google(
    name: str, target_size: str, drafter_size: str, memory_gb: float, draft_length: int
) -> PairInfo:
    target_id = f"google/gemma-4-{name}-it"
    return PairInfo(
        name,
        target_id,
        f"{target_id}-assistant",
        target_size,
        drafter_size,
        memory_gb,
        draft_length,
        _RECIPE,
    )


PAIRS: dict[str, PairInfo] = {
    info.name: info
    for info in (
        PairInfo(POCKET, "", "", "5.0M", "0.9M", 0.03, 4, "gemma_mtp_edu/data/pocket/README.md"),
        _google("E2B", "2.3B effective / 5.1B", "78M", 13.0, 2),
        _google("E4B", "E4B, 42 layers", "78.8M", 17.4, 4),
        _google("12B", "12B", "0.4B", 24.8, 4),
        _google("26B-A4B", "26B, 4B active", "0.4B", 52.8, 4),
        _google("31B", "31B", "0.5B", 63.0, 4),
    )
}


def find(name: str) -> PairInfo | None:
    """Return the registered pair whose short name or target id is `name`, ignoring case."""
    wanted = name.casefold()
    for info in PAIRS.values():
        # The bundled pair has no hub id: an empty name must not find it.
        if wanted and wanted in (info.name.casefold(), info.target_id.casefold()):
            return info
    return None


def find_short(name: str) -> PairInfo | None:
    """Return the registered pair whose short name is `name`, ignoring case."""
    info = find(name)
    return info if info is not None and name.casefold() == info.name.casefold() else None


def recommended(name: str) -> int | None:
    """Return the recommended number of drafts for a registered pair, or None for any other."""
    info = find(name)
    return None if info is None else info.draft_length


def nearest(name: str) -> str | None:
    """Return the registered name or id that `name` is most like, or None where nothing is near."""
    known = [info.name for info in PAIRS.values()]
    known += [info.target_id for info in PAIRS.values() if info.target_id]
    by_case = {entry.casefold(): entry for entry in known}
    found = difflib.get_close_matches(name.casefold(), by_case, n=1, cutoff=0.6)
    return by_case[found[0]] if found else None
