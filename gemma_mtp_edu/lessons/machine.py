"""What a lesson runs on, in words.

Standard library only: the doctor asks where nothing else works.
"""

import os
import sys
from typing import Literal

from gemma_mtp_edu.lessons.language import tr

Place = Literal["Colab", "Kaggle", "Binder", "VS Code", "local"]


def place() -> Place:
    """Return where the notebook runs, from the environment variables that each service sets."""
    # Kaggle's image is built on Colab's and may keep its variables; the reverse is not so.
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "Kaggle"
    if "COLAB_RELEASE_TAG" in os.environ or "google.colab" in sys.modules:
        return "Colab"
    if "BINDER_LAUNCH_HOST" in os.environ or "BINDER_REPO_URL" in os.environ:
        return "Binder"
    # Set for the kernels that its Jupyter extension starts, not for its terminal.
    if "VSCODE_PID" in os.environ:
        return "VS Code"
    return "local"


def cpu(threads: int) -> str:
    """Return a CPU in words.

    >>> cpu(1), cpu(2)
    ('CPU, 1 thread', 'CPU, 2 threads')
    """
    return tr(
        "CPU, {threads} thread" if threads == 1 else "CPU, {threads} threads", threads=threads
    )
