"""What do I load? Pairs, and whether they fit."""

from gemma_mtp_edu import lazily

__getattr__ = lazily(
    __name__,
    {
        "compatibility": "IncompatiblePairError check_pair",
        "memory": "gigabytes memory_plan pick_pair",
        "pairs": "choose_device choose_dtype",
        "registry": "PAIRS recommended",
    },
)
