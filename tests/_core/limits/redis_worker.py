"""A process that shares a limiter with others; `test_redis_processes.py` starts it.

python -m tests._core.limits.redis_worker saturate REDIS LIMIT PER SERVER TASKS
python -m tests._core.limits.redis_worker hold REDIS LIMIT PER LEASE
"""

from __future__ import annotations

import asyncio
import sys

from redis.asyncio import Redis

from dialogkit._core.limits.redis import RedisRateLimiter
from dialogkit._core.limits.terms import Key, RateLimit

KEY: Key = ("Toy", "credential", "loc_1")


async def saturate(redis: Redis, limits: tuple[RateLimit, ...], server: str, tasks: str) -> None:
    """Send as much as the limiter allows to `server`, until that has had enough."""
    limiter = RedisRateLimiter(redis, on_outage="fail", timeout=30)

    async def send() -> None:
        reader, writer = await asyncio.open_unix_connection(server)
        answer = await reader.readexactly(1)
        while answer == b"+":
            permit = await limiter.acquire(KEY, limits, max_wait=None)
            writer.write(b"?")
            answer = await reader.readexactly(1)
            permit.settle()
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(send() for _ in range(int(tasks))))
    await limiter.aclose()


async def hold(redis: Redis, limits: tuple[RateLimit, ...], lease: str) -> None:
    """Take all permits, say so, and keep them."""
    limiter = RedisRateLimiter(redis, on_outage="fail", timeout=30, lease=float(lease))
    permits = [await limiter.acquire(KEY, limits, max_wait=0) for _ in range(limits[0].limit)]
    sys.stdout.write(f"{len(permits)}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


async def main(mode: str, redis: str, limit: str, per: str, *rest: str) -> None:
    """Do what the command line says."""
    client = Redis(unix_socket_path=redis)
    limits = (RateLimit(int(limit), per=float(per)),)
    await (saturate(client, limits, *rest) if mode == "saturate" else hold(client, limits, *rest))
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
