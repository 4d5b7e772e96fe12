"""Dates in headers."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import email.utils as email_utils
else:
    email_utils = LazyModule("email.utils")


def http_date(text: str) -> datetime | None:
    """Return the moment that a date in a header names, or `None` if it is no date."""
    try:
        date = email_utils.parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)


def now_by(date: str | None) -> datetime:
    """Return the present by the platform's clock, if its `Date` header tells the time, else by ours."""
    return (http_date(date) if date else None) or datetime.now(timezone.utc)
