"""Links to files that the sandbox keeps: public ones, and signed ones that lapse and admit no other credential."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from dialogkit.testing.engine.ids import Ids
from dialogkit.testing.engine.refusals import Refusal

PREFIX: Final = "/_sandbox/"
"""Where the paths of links begin; the platform has none that begin so."""


@dataclass
class StoredFile:
    """A file that a link leads to; without content until it has been put there."""

    name: str
    content_type: str
    content: bytes | None = None


@dataclass(frozen=True)
class _Link:
    file: StoredFile
    method: str
    signature: str | None = None
    expires: float | None = None
    limit: int = 0


class Links:
    """The links of one run."""

    def __init__(self, ids: Ids, clock: Callable[[], float]) -> None:
        self._ids = ids
        self._clock = clock
        self._links: dict[str, _Link] = {}

    def publish(self, base_url: str, file: StoredFile) -> str:
        """Return a URL under which anybody can GET a file, for good."""
        path = f"{PREFIX}files/{self._ids.mint('file')}/{quote(file.name, safe='')}"
        self._links[path] = _Link(file, "GET")
        return base_url + path

    def sign(self, base_url: str, file: StoredFile, *, method: str, seconds: float, limit: int = 0) -> str:
        """Return a URL that works for some seconds, for one method, and only without an Authorization header.

        `limit` is the largest body that may be put there, in bytes.
        """
        path = f"{PREFIX}signed/{self._ids.mint('link')}"
        signature = self._ids.secret("signature")
        expires = self._clock() + seconds
        self._links[path] = _Link(file, method, signature, expires, limit)
        return f"{base_url}{path}?signature={signature}&expires={int(expires)}"

    def follow(self, method: str, path: str, query: Mapping[str, str], *, authorized: bool, body: bytes) -> StoredFile:
        """Return the file behind a link, after putting the body there if that is what the link is for.

        Args:
            method: Method of the request.
            path: Its path, still percent-encoded.
            query: Its query.
            authorized: Whether it has an Authorization header.
            body: Its body.

        Raises:
            Refusal: 404 for no such link, 405 for another method, 400 for an Authorization header on a signed link,
                403 for a wrong signature or one that has lapsed, 413 for a body that is too large.

        """
        link = self._links.get(path)
        if link is None:
            raise Refusal(404, "There is no such file.")
        if method != link.method:
            raise Refusal(405, f"This link is for {link.method}.", headers={"Allow": link.method})
        if link.signature is not None:
            if authorized:
                raise Refusal(400, "A signed link admits no Authorization header: fetch it without.")
            if query.get("signature") != link.signature:
                raise Refusal(403, "The signature does not fit the link.")
            if link.expires is not None and self._clock() >= link.expires:
                raise Refusal(403, "The link has lapsed: ask for a new one.")
        if method == "PUT":
            if len(body) > link.limit:
                raise Refusal(413, f"The link takes no more than {link.limit} bytes.")
            link.file.content = body
        return link.file
