"""How fast requests may go: the limiter in this process and the one in Redis, and what answers teach them.

It knows keys and numbers; neither calls nor requests.

Others use: `Allowance`, `Doubts`, `HeaderReader`, `LONGEST_WINDOW`, `MemoryRateLimiter`, `Permit`, `RateLimit`,
    `RateLimiter`, `RateLimitHeaders`, `RedisRateLimiter`, `seconds_of`.
"""
