"""Train the byte-level BPE tokenizer that both models of the bundled pair share.

It has Gemma 4's turn markers and a chat template of the same form, so that
`processor.apply_chat_template(...)` works on the bundled folder as on the real checkpoints.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from tools.pocket.corpus import sample_mix

VOCAB_SIZE = 2048
# The ids of pad, eos and bos are those of the Gemma family.
SPECIAL_TOKENS = ["<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>"]
CHAT_TEMPLATE = (Path(__file__).parent / "data" / "chat_template.jinja").read_text(encoding="utf-8")


def train_tokenizer(seed: int, n_examples: int = 30_000) -> PreTrainedTokenizerFast:
    """Train the tokenizer on `n_examples` prompts and answers of the seeded corpus."""
    tokenizer = Tokenizer(models.BPE())
    # One token per digit, as Gemma has it: a small model can then do sums column by column.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(seed, n_examples), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<eos>",
        bos_token="<bos>",
        unk_token="<unk>",
        additional_special_tokens=["<|turn>", "<turn|>"],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )


def save_tokenizer(folder: Path, seed: int) -> None:
    """Train the tokenizer and write it into `folder`."""
    train_tokenizer(seed).save_pretrained(folder)


def _texts(seed: int, n_examples: int) -> Iterator[str]:
    rng = Random(f"tokenizer-{seed}")
    for _ in range(n_examples):
        example = sample_mix(rng, "train")
        yield f"user\n{example.prompt}"
        yield f"model\n{example.answer}"
