"""Mutation: single-line faults put by hand into a copy of the package, each of which a test finds.

`faults.toml` lists them: the file, the exact old text, the new text, why it matters, and the tests
that should find it. `faults` reads and applies them, `runner` runs the tests, `store` keeps the
results, `table` writes `docs/mutation.md`.
"""
