"""The file name that an answer suggests, made safe to use as the name of a file in a directory.

A peer chose it. What could lead elsewhere is cut off; a name that shows as something else than it is (with marks that
turn the direction of writing, or characters that do not print), or that a system takes for a device, is no name at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import email.message as email_message
    import email.utils as email_utils
else:
    email_message = LazyModule("email.message")
    email_utils = LazyModule("email.utils")

_UNSAFE: Final = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_RESERVED: Final = re.compile(r"con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3]", re.IGNORECASE)
_CHARSETS: Final = frozenset({"", "utf-8", "us-ascii", "iso-8859-1"})
"""Those that RFC 8187 knows. No other is looked up: its name is the peer's, too."""
_LONGEST_HEADER: Final = 4_000
_LONGEST: Final = 200  # bytes; file systems take 255, a temporary name needs some of them


def suggested_filename(header: str | None) -> str | None:
    """Return the base name in a `Content-Disposition` header, or `None` when there is none that can be used."""
    if not header or len(header) > _LONGEST_HEADER:
        return None
    message = email_message.Message()
    try:
        message["Content-Disposition"] = header
        parameters = cast("list[tuple[str, object]]", message.get_params(header="content-disposition"))
        values = [value for name, value in parameters if name.lower() == "filename"]
        for value in values:
            if isinstance(value, tuple):  # `filename*`, which wins over `filename`
                return _extended(cast("tuple[str | None, str | None, str]", value))
    except (ValueError, TypeError, LookupError, AttributeError):  # as the parser of the standard library has it
        return None
    return _safe(_as_utf8(str(values[0]))) if values else None


def _extended(value: tuple[str | None, str | None, str]) -> str | None:
    charset = (value[0] or "").lower()
    return _safe(email_utils.collapse_rfc2231_value(value)) if charset in _CHARSETS else None


def _as_utf8(name: str) -> str:
    """Read a name that was sent as bare UTF-8, which header parsers take for Latin-1."""
    try:
        return name.encode("latin-1").decode()
    except ValueError:
        return name


def _safe(name: str) -> str | None:
    base = re.split(r"[/\\]", name.encode("utf-8", "replace").decode())[-1]
    base = _UNSAFE.sub("_", base).strip(" .").lstrip("-")
    if not base or not base.isprintable() or _RESERVED.fullmatch(base.partition(".")[0].strip()):
        return None
    stem, dot, ending = base.rpartition(".")
    if not stem or len(ending) > 16:
        stem, dot, ending = base, "", ""
    room = _LONGEST - len((dot + ending).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending
