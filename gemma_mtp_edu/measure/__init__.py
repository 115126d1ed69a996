"""What does it do here, and at scale?"""

from gemma_mtp_edu import lazily

__getattr__ = lazily(
    __name__,
    {
        "bench": "Plan conditions",
        "results": "ResultsCard best_lengths length_for_all measurements overall_speedups "
        "prediction_errors",
        "serving": "serving_commands",
    },
)
