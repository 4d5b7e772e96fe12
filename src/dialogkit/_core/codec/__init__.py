"""Values to and from the wire: strict with arguments, tolerant with answers, and exact about where the two differ.

It may know `call` and `response`, and pydantic. It sends nothing and keeps nothing.

Others use: `always_sent`, `Arguments`, `attach_info`, `build`, `checked_path`, `CommaSeparated`, `decode`,
    `Deviation`, `header`, `invalid`, `IsoDate`, `IsoDateTime`, `Model`, `pairs`, `path`, `place`, `require_one_of`,
    `require_together`, `scalar`, `SnakeModel`, `tag_of`, `Timestamp`, `UnixMilliseconds`, `UnixSeconds`, `validate`.
"""
