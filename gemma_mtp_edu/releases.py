"""Which transformers releases can run a Gemma 4 drafter; the one module that knows release numbers.

Measured on 5.7 to 5.23.0 with small pairs: before 5.8 the drafter class is absent; 5.8 to 5.17 hand
the first draft the wrong hidden state (transformers#48703), and 5.12.1 and 5.13.1 crash past the
sliding window (transformers#46629); 5.18 and 5.19 raise TypeError on every assisted call; 5.23.0
cannot construct a drafter.
"""

from packaging.version import InvalidVersion, Version

OLDEST = Version("5.20.2")
BEFORE = Version("5.23")
REQUIREMENT = f"transformers>={OLDEST},<{BEFORE}"


class UnsupportedReleaseError(ImportError):
    """The installed transformers release cannot run a Gemma 4 drafter."""


def check_transformers(version: str | None = None) -> None:
    """Raise unless the transformers release can run a Gemma 4 drafter.

    Args:
        version: The release to judge; by default the one that is installed.

    Raises:
        UnsupportedReleaseError: The release is outside of what was tested.
    """
    if version is None:
        import transformers

        version = transformers.__version__
    try:
        release = Version(version)
    except InvalidVersion as error:
        raise UnsupportedReleaseError(
            f"cannot read the transformers release {version!r}"
        ) from error
    # Development builds of a release count as that release: 5.23.0.dev0 has 5.23's fault.
    if not OLDEST <= Version(release.base_version) < BEFORE:
        raise UnsupportedReleaseError(
            f"got transformers {version}, but Gemma 4 drafters need {OLDEST} to below {BEFORE} "
            "(others cannot build the drafter or hand it wrong values): "
            f'run  pip install "{REQUIREMENT}"  and restart Python'
        )
