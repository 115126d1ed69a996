"""Arithmetic once more, mostly of the kinds that fail: for the last phase of the training only."""

from tools.pocket.workloads.arithmetic import NAME, grade
from tools.pocket.workloads.arithmetic import sample_drill as sample

__all__ = ["NAME", "grade", "sample"]
