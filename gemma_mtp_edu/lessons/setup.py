"""What every lesson calls first: say what was found, and warn before something fails."""

import importlib.metadata
import platform

from gemma_mtp_edu.lessons import installing
from gemma_mtp_edu.lessons.installing import NotReadyError
from gemma_mtp_edu.lessons.language import called, marked, tr, use
from gemma_mtp_edu.lessons.machine import Place, cpu, place
from gemma_mtp_edu.models.releases import check_transformers

SHOWN = ("torch", "transformers", "accelerate", "ipywidgets")
_RESTART: dict[Place, str] = {
    "Colab": marked("Runtime > Restart session"),
    "Kaggle": marked("Restart in the Run menu"),
    "Binder": marked("Kernel > Restart Kernel"),
    "VS Code": marked("Restart in the bar above the notebook"),
    "local": marked("Kernel > Restart Kernel"),
}


def setup(install: bool = False) -> None:
    """Print where this runs and which releases it uses.

    Args:
        install: Bring what is missing. A hosted service's environment is thrown away after the
            session, so there it is always brought; elsewhere only into an environment that the
            setup cell has just installed the course into.

    Raises:
        NotReadyError: Something is missing, or was imported before it was replaced; the sentence
            says what to do.
        UnsupportedReleaseError: This transformers release cannot run an MTP drafter; the message
            says what to install.
    """
    import gemma_mtp_edu

    here = place()
    how = tr(_RESTART[here])
    needed = installing.requirements()
    if install or here in ("Colab", "Kaggle"):
        installing.install(needed, how)
    if changed := installing.stale():
        raise NotReadyError(
            tr(
                "{changed}: restart the runtime ({how}) and run this cell again",
                changed=changed[0],  # one restart is the cure for all of them
                how=how,
            )
        )
    have = installing.installed()
    check_transformers(have.get("transformers"))
    if missing := installing.lacking(needed, have):
        wanted = " ".join(f'"{requirement}"' for requirement in missing)
        raise NotReadyError(
            tr(
                "the course lacks {wanted}: run  %pip install {wanted}  and restart ({how})",
                wanted=wanted,
                how=how,
            )
        )
    releases = ", ".join(f"{name} {_version(name)}" for name in SHOWN)
    print(
        tr(
            "gemma_mtp_edu {version} on {here}, {device}",
            version=gemma_mtp_edu.__version__,
            here=called(here),
            device=_device(),
        )
    )
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


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return tr("not installed")


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name(0)
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return cpu(torch.get_num_threads())
