"""What does it win? Profiles, replay, costs, and looks inside."""

from gemma_mtp_edu import lazily

__getattr__ = lazily(
    __name__,
    {
        "ablation": "ablate without AS_IS", "inside": "cluster_ranks draft_steps",
        "calibration": "timed_runs", "cost": "round_cost", "reference": "clock",
        "custom": "draft_and_verify", "metrics": "alpha", "theory": "expected_tokens",
        "lossless": "distributions_after emitted_distribution first_difference",
        "tradeoff": "Setting kept_by_place outcome speedups_by_length",
    },
)  # fmt: skip
