"""How does it work? The loops, and what they are made of."""

from gemma_mtp_edu import lazily

_NAMES = {
    "drafters": "MTPDrafter ScriptedDrafter", "schedules": "LastRound Schedule",
    "target": "CACHE CachedModel",
    "verification": "residual_distribution verify_greedy verify_sampling",
}  # fmt: skip
__getattr__ = lazily(__name__, _NAMES)
