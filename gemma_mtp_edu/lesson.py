"""What every lesson calls first: say what was found, and warn before something fails."""

import importlib.metadata
import os
import platform
import sys
from typing import Literal

from gemma_mtp_edu.language import tr, use
from gemma_mtp_edu.releases import check_transformers

Place = Literal["Colab", "Kaggle", "Binder", "local"]
SHOWN = ("torch", "transformers", "accelerate", "ipywidgets")


def setup() -> None:
    """Print where this runs and which releases it uses.

    Raises:
        UnsupportedReleaseError: This transformers release cannot run an MTP drafter; the message
            says what to install. Where an older release was imported before the install, it says to
            restart the runtime.
    """
    import gemma_mtp_edu

    loaded = getattr(sys.modules.get("transformers"), "__version__", None)
    installed = importlib.metadata.version("transformers")
    if loaded is not None and loaded != installed:
        raise RuntimeError(
            f"transformers {loaded} was imported before {installed} was installed: restart the "
            "runtime (Runtime > Restart session, or Kernel > Restart) and run this cell again"
        )
    check_transformers(installed)
    releases = ", ".join(f"{name} {_version(name)}" for name in SHOWN)
    print(f"gemma_mtp_edu {gemma_mtp_edu.__version__} on {place()}, {_device()}")
    print(f"Python {platform.python_version()}, {releases}")


def language(name: str) -> None:
    """Choose the language of what the package says from here on, and say so in it.

    Args:
        name: "en" or "ja". What figures draw stays English.

    Raises:
        ValueError: There is no such language.
    """
    use(name)
    print(tr("Texts are in English from here on."))


def place() -> Place:
    """Return where the notebook runs, from the environment variables that each service sets."""
    if "COLAB_RELEASE_TAG" in os.environ or "google.colab" in sys.modules:
        return "Colab"
    if "KAGGLE_KERNEL_RUN_TYPE" in os.environ:
        return "Kaggle"
    if "BINDER_LAUNCH_HOST" in os.environ or "BINDER_REPO_URL" in os.environ:
        return "Binder"
    return "local"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return f"CPU, {torch.get_num_threads()} threads"
