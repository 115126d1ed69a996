"""What do I load? Pairs, and whether they fit."""

from gemma_mtp_edu import lazily

_NAMES = {
    "compatibility": "check_pair",
    "memory": "memory_plan",
    "pairs": "choose_device choose_dtype",
    "registry": "PAIRS",
}
__getattr__ = lazily(__name__, _NAMES)
