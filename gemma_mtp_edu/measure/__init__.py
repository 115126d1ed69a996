"""What does it do here, and at scale?"""

from gemma_mtp_edu import lazily

CARD = "ResultsCard best_lengths length_for_all measurements overall_speedups prediction_errors"
NAMES = {"bench": "Plan conditions", "results": CARD, "serving": "serving_commands"}
__getattr__ = lazily(__name__, NAMES)
