"""What a transport of your own is made of: pass one as `http_client`, and it sends a client's calls your way.

    from dialogkit.transport import Answer, Request, TransportFailure

    class Canned:
        async def send(self, request: Request, timeout: float) -> Answer:
            if request.target.startswith("/unreachable"):
                raise TransportFailure("nobody is there", sent=False)
            return Answer(200, [(b"content-type", b"application/json")], b'{"id": "bot_1"}')

    async with HoopAI("key", http_client=Canned()) as hoop: ...

Limits, retries, credentials, redirects and decoding stay the client's. A transport sends one request, once, and raises
`TransportFailure` and nothing else when that fails; its `sent` decides whether the call may be repeated.
"""

from dialogkit._core.http.failure import TransportFailure
from dialogkit._core.http.transport import Answer, Origin, Request, Transport

__all__ = ["Answer", "Origin", "Request", "Transport", "TransportFailure"]
