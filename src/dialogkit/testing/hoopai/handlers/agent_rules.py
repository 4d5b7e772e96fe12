"""The rules for actions of agents that the platform states in prose: one value decides what others must be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dialogkit.testing.engine.refusals import missing, wrong
from dialogkit.testing.engine.state import Row

_LONGEST_DELAY: Final = {"minutes": 60, "hours": 24, "days": 180}
_NOT_WITH_A_LINK: Final = ("triggerWorkflow", "sleepAfterBooking", "transferBot", "rescheduleEnabled", "cancelEnabled")
_NEEDS_EXAMPLES: Final = {"custom", "contactRequest"}


def check_action(action: Row) -> None:
    """Refuse an action that breaks a rule: 400 for what is missing, 422 for what does not go together."""
    details: Row = action["details"]
    if absent := [f"details.{name} should not be empty" for name in _missing(action["type"], details)]:
        raise missing(*absent)
    if problems := [f"details.{problem}" for problem in _wrong(action["type"], details)]:
        raise wrong(*problems)


def _missing(kind: str, details: Row) -> Iterator[str]:
    needed: list[str] = []
    if kind == "appointmentBooking":
        needed += ["workflowIds"] if details["triggerWorkflow"] else []
        needed += ["sleepTime", "sleepTimeUnit"] if details["sleepAfterBooking"] else []
        needed += ["transferAgent"] if details["transferBot"] else []
    if kind in {"stopBot", "humanHandOver"} and details["reactivateEnabled"]:
        needed += ["sleepTime", "sleepTimeUnit"]
    if kind == "humanHandOver" and details["handoverType"] in _NEEDS_EXAMPLES:
        needed += ["examples"]
    if kind == "transferBot" and details["transferBotType"] == "Custom":
        needed += ["transferBotTriggerCondition", "transferBotExamples"]
    yield from (name for name in needed if name not in details)
    if kind == "advancedFollowup":
        for index, step in enumerate(details["followupSequence"]):
            if not step.get("aiEnabledMessage", True) and "customMessage" not in step:
                yield f"followupSequence.{index}.customMessage"
            if step.get("triggerWorkflow") and "workflowId" not in step:
                yield f"followupSequence.{index}.workflowId"


def _wrong(kind: str, details: Row) -> Iterator[str]:
    if kind == "appointmentBooking" and details["onlySendLink"]:
        yield from (f"{name} must be false when onlySendLink is true" for name in _NOT_WITH_A_LINK if details[name])
    if kind == "transferBot" and details["transferBotType"] == "Custom" and len(details["transferBotExamples"]) < 2:
        yield "transferBotExamples must contain at least 2 elements"
    if kind == "advancedFollowup":
        for index, step in enumerate(details["followupSequence"]):
            longest, unit = _LONGEST_DELAY[step["followupTimeUnit"]], step["followupTimeUnit"]
            if step["followupTime"] > longest:
                yield f"followupSequence.{index}.followupTime must not be greater than {longest} {unit}"
