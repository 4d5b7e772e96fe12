"""Values to and from the wire: strict with arguments, tolerant with answers, and exact about where the two differ.

It may know `call` and `response`, and pydantic. It sends nothing and keeps nothing.

Others use: `always_sent`, `Arguments`, `attach_info`, `build`, `checked_path`, `CommaSeparated`, `decode`,
    `Deviation`, `header`, `Input`, `invalid`, `IsoDate`, `IsoDateTime`, `Model`, `Null`, `pairs`, `path`, `place`,
    `require_one_of`, `require_together`, `say_unknown`, `scalar`, `SnakeInput`, `SnakeModel`, `tag_of`, `Timestamp`,
    `UnixMilliseconds`, `UnixSeconds`, `unknown_values`, `validate`.
"""
