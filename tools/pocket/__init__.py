"""Build the bundled pair: corpus, tokenizer, target, drafter."""
