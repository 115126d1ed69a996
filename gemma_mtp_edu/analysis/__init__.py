"""What does it win? Profiles, replay, costs, and looks inside."""

from gemma_mtp_edu import lazily

__getattr__ = lazily(
    __name__,
    {
        "ablation": "ablate", "cost": "round_cost", "custom": "draft_and_verify",
        "calibration": "clock time_target_passes timed_runs", "theory": "expected_tokens",
        "metrics": "alpha first_difference", "tradeoff": "Setting outcome",
    },
)  # fmt: skip
