"""A process of an app: when it is told to, it calls the sandbox a few times at once.

Arguments: the sandbox's URL, its client secret, the store (`file PATH`, `redis SOCKET` or `crash PATH`).
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from redis.asyncio import Redis

from dialogkit import FileTokenStore, HoopAI, OAuth2, RedisTokenStore, TokenStore

CALLS = 10


class Crashing(FileTokenStore):
    """Its process dies between the refresh and the moment in which the new token would be stored."""

    async def put(self, *args: Any, **options: Any) -> bool:
        os._exit(9)


async def main(url: str, client_secret: str, kind: str, place: str) -> None:
    redis = Redis(unix_socket_path=place)
    store: TokenStore
    store = RedisTokenStore(redis) if kind == "redis" else {"file": FileTokenStore, "crash": Crashing}[kind](place)
    auth = OAuth2("sandbox-client", client_secret, store=store)
    async with redis, HoopAI(auth=auth, base_url=url, location_id="loc_sandbox", rate_limit=None) as hoop:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        await asyncio.gather(*(hoop.bots.list() for _ in range(CALLS)))


asyncio.run(main(*sys.argv[1:]))
