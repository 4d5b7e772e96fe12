"""The file name that an answer suggests, made safe to use as the name of a file in a directory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from dialogkit._core.support.lazy import LazyModule

if TYPE_CHECKING:
    import email.message as email_message
    import email.utils as email_utils
else:
    email_message = LazyModule("email.message")
    email_utils = LazyModule("email.utils")

_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_LONGEST = 200  # bytes; file systems take 255, a temporary name needs some of them


def suggested_filename(header: str | None) -> str | None:
    """Return the base name in a `Content-Disposition` header, or `None` when there is none that can be used."""
    if not header:
        return None
    message = email_message.Message()
    try:
        message["Content-Disposition"] = header
        parameters = cast("list[tuple[str, object]]", message.get_params(header="content-disposition"))
    except ValueError:
        return None
    values = [value for name, value in parameters if name.lower() == "filename"]
    for value in values:
        if isinstance(value, tuple):  # `filename*`, which wins over `filename`
            return _safe(email_utils.collapse_rfc2231_value(cast("tuple[str, str, str]", value)))
    return _safe(_as_utf8(str(values[0]))) if values else None


def _as_utf8(name: str) -> str:
    """Read a name that was sent as bare UTF-8, which header parsers take for Latin-1."""
    try:
        return name.encode("latin-1").decode()
    except ValueError:
        return name


def _safe(name: str) -> str | None:
    base = re.split(r"[/\\]", name.encode("utf-8", "replace").decode())[-1]
    base = _UNSAFE.sub("_", base).strip(" .")
    if not base or _RESERVED.fullmatch(base):
        return None
    stem, dot, ending = base.rpartition(".")
    if not stem or len(ending) > 16:
        stem, dot, ending = base, "", ""
    room = _LONGEST - len((dot + ending).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending
