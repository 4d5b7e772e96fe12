"""The way of one call, and nothing else: encoded, let through, sent, repeated, decoded, or ended by a typed error.

It may know all rooms below. It does not know how a client is made, and sends nothing by itself: engines are `http`'s.

Others use: `Default`, `DEFAULT_TIMEOUT`, `ErrorStatuses`, `Platform`, `raw`, `RetryPolicy`, `RetryQuota`, `sender`,
    `Settings`.
"""
