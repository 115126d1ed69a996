"""Fuzz: generated cases of pair shape, prompt, schedule, stop and sampling against plain decoding.

`cases` draws them from a seed, `models` makes what they need, `plain` writes the texts to compare
with, `audit` checks a trace round by round, `distributions` says what sampled tokens should be
drawn from, `run` does a case, and `series` many of them.
"""
