"""What the connection pools of the engines hold, to see that nothing is lost in them."""

from __future__ import annotations

from typing import Any

from dialogkit._core.http.pool import Connection


def kept_connections(connection: Connection) -> int:
    """Check that no connection is in use, or lost, and return how many the pool keeps."""
    own: Any = connection._own
    if own is None:
        return 0
    if hasattr(own, "_by_way"):
        return sum(map(_kept_by_aiohttp, own._by_way.values()))
    pool = own._engine._client._ways._straight._transport._pool
    assert not pool._requests
    assert all(each.is_idle() for each in pool.connections), pool.connections
    return len(pool.connections)


def _kept_by_aiohttp(engine: Any) -> int:
    if engine._session is None:
        return 0
    connector = engine._session.connector
    assert not connector._acquired
    return sum(map(len, connector._conns.values()))
