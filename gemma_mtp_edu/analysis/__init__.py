"""What does it win? Profiles, replay, costs, and looks inside."""

from gemma_mtp_edu import lazily

__getattr__ = lazily(
    __name__,
    {
        "ablation": "ablate", "calibration": "timed_runs", "cost": "round_cost",
        "custom": "draft_and_verify", "metrics": "alpha first_difference", "reference": "clock",
        "theory": "expected_tokens", "tradeoff": "Setting outcome",
    },
)  # fmt: skip
