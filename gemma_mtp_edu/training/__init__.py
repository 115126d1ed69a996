"""How is a drafter made?"""

from gemma_mtp_edu import lazily

# What is called as its module is, `new_drafter` and `target_texts`, is taken from there.
__getattr__ = lazily(
    __name__, {"distillation": "distillation_batch", "training": "Plan shuffled train"}
)
