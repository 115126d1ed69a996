"""Mutation: single-line faults put by hand into a copy of the package, each of which a test finds.

`faults.toml` lists them; `python -m tools.mutation` runs them. mutmut 3.8 and cosmic-ray 8.7 make
mutants by their own rules, hundreds of them with one test command for all; neither takes a list.
"""
