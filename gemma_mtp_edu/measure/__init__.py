"""What does it do here, and at scale?"""

from gemma_mtp_edu import lazily

NAMES = {
    "bench": "Plan conditions",
    "results": "ResultsCard measurements",
    "serving": "serving_commands",
}
__getattr__ = lazily(__name__, NAMES)
