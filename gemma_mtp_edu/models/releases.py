"""Which transformers releases can run a Gemma 4 drafter; all that depends on a release stands here.

Measured on 5.7 to 5.23.0 with small pairs: before 5.8 the drafter class is absent; 5.8 to 5.17 hand
the first draft the wrong hidden state (transformers#48703), and 5.12.1 and 5.13.1 crash past the
sliding window (transformers#46629); 5.18 and 5.19 raise TypeError on every assisted call; 5.23.0
cannot construct a drafter.
"""

import importlib.metadata
import sys
from typing import Any

from packaging.version import InvalidVersion, Version

from gemma_mtp_edu.lessons.language import marked, tr

OLDEST = Version("5.20.2")
BEFORE = Version("5.23")
REQUIREMENT = f"transformers>={OLDEST},<{BEFORE}"
REMEDY = marked('run  pip install "{requirement}"  and restart Python')


class UnsupportedReleaseError(ImportError):
    """The installed transformers release cannot run a Gemma 4 drafter.

    Attributes:
        remedy: What to install, with which the message ends; empty where it says nothing of it.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


def check_transformers(version: str | None = None) -> None:
    """Raise unless the transformers release can run a Gemma 4 drafter.

    Args:
        version: The release to judge; by default the one that is loaded, or else installed.

    Raises:
        UnsupportedReleaseError: The release is outside of what was tested, or there is none.
    """
    version = version or transformers_release()
    try:
        release = Version(version)
    except InvalidVersion as error:
        raise UnsupportedReleaseError(
            tr("cannot read the transformers release {version!r}", version=version)
        ) from error
    # Development builds of a release count as that release: 5.23.0.dev0 has 5.23's fault.
    if not OLDEST <= Version(release.base_version) < BEFORE:
        remedy = tr(REMEDY, requirement=REQUIREMENT)
        raise UnsupportedReleaseError(
            tr(
                "got transformers {version}, but Gemma 4 drafters need {oldest} to below {before} "
                "(others cannot build the drafter or hand it wrong values): {remedy}",
                version=version,
                oldest=OLDEST,
                before=BEFORE,
                remedy=remedy,
            ),
            remedy,
        )


def transformers_release() -> str:
    """Return the release that is loaded, or else the installed one, without loading it.

    Some releases cannot even be loaded beside newer libraries, and must be refused all the same.

    Raises:
        UnsupportedReleaseError: transformers is not installed.
    """
    loaded = getattr(sys.modules.get("transformers"), "__version__", None)
    if isinstance(loaded, str):
        return loaded
    try:
        return importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError as error:
        remedy = tr(REMEDY, requirement=REQUIREMENT)
        raise UnsupportedReleaseError(
            tr("transformers is not installed: {remedy}", remedy=remedy), remedy
        ) from error


# The two lines that depend on a release. 5.12 cropped to a length that was given, and kept nothing
# of what had left a sliding window; 5.19 and later remove a number of tokens.


def keep_past(cache: Any) -> None:
    """Let sliding layers keep what leaves their window until `drop_newest` says what stays."""
    cache.activate_past_recording()  # depends on the release


def drop_newest(cache: Any, count: int) -> None:
    """Remove the newest `count` tokens of a cache, and trim its windows; 0 only trims."""
    cache.crop(-count)  # depends on the release
