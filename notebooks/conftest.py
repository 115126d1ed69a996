"""How nbval runs the lessons (`make nbval`): offline, and comparing text only.

Cells tagged `nbval-check-output` are compared. Pictures and HTML are not: their bytes depend on
fonts and releases, and each lesson prints the figures that matter.
"""

import os
from typing import Any

from tools.notebooks import KERNEL_ENVIRONMENT

os.environ.update(KERNEL_ENVIRONMENT)  # kernels inherit it
NOT_COMPARED = ("text/html", "image/png", "image/svg+xml", "stderr")


def pytest_collectstart(collector: Any) -> None:
    """Add to what nbval leaves out of each notebook's comparison."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += NOT_COMPARED
