"""What does it do here, and at scale?"""

from gemma_mtp_edu import lazily

__getattr__ = lazily(__name__, {"serving": "serving_commands"})
