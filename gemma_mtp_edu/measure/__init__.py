"""What does it do here, and at scale?"""

from gemma_mtp_edu import lazily

NAMES = {"bench": "Plan conditions", "results": "ResultsCard measurements"}
__getattr__ = lazily(__name__, NAMES | {"serving": "serving_commands"})
