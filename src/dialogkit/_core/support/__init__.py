"""What any room may need: lazy imports, callbacks, checks, dates, secrets, Redis, background work.

It may know `errors`, and nothing else of this package.

Others use: `AwaitedOnce`, `background`, `blotted`, `CancelledWorkError`, `derive`, `Detached`, `FirstFault`, `Guarded`,
    `http_date`, `is_count`, `is_duration`, `is_positive`, `LazyModule`, `leave_out`, `logger`, `Method`, `note`,
    `now_by`, `printable`, `RedisAccess`, `RedisClient`, `RedisOutage`, `refuses`, `Script`, `Secret`, `SecretFields`,
    `version`.
"""
