"""Errors for callers who give something else than a trace or an acceptance profile."""

from typing import Any

from gemma_mtp_edu.analysis.profile import AcceptanceProfile
from gemma_mtp_edu.core.arguments import check_kind
from gemma_mtp_edu.core.trace import GenerationTrace
from gemma_mtp_edu.lessons.language import tr


def need_trace(value: Any) -> None:
    """Raise unless it is a trace.

    Raises:
        ValueError: It is something else.
    """
    check_kind(value, GenerationTrace, "trace", tr("what speculative_generate or replay returns"))


def need_profile(value: Any) -> None:
    """Raise unless it is an acceptance profile.

    Raises:
        ValueError: It is something else.
    """
    check_kind(value, AcceptanceProfile, "profile", tr("what acceptance_profile returns"))
