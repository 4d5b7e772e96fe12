"""What any room may need: lazy imports, callbacks, checks, dates, secrets, Redis, background work.

It may know `errors`, and nothing else of this package.

Others use: `AwaitedOnce`, `background`, `blotted`, `call_in`, `CancelledWorkError`, `charset_of`, `derive`,
    `Detached`, `FirstFault`, `Guarded`, `http_date`, `is_array`, `is_count`, `is_duration`, `is_object`,
    `is_positive`, `json_of`, `LazyModule`, `leave_out`, `logger`, `loop_or_none`, `loose_json_of`, `may_show`,
    `Method`, `nearest`, `note`, `now_by`, `printable`, `RedisAccess`, `RedisClient`, `RedisOutage`, `refuses`,
    `Script`, `Secret`, `SecretFields`, `text_of`, `TooDeepError`, `veiled`, `veiled_body`, `version`.
"""
