"""All there is about HoopAI in the sandbox: handlers, limits, bodies of errors, events, seeds, conveniences.

It may know `engine` and `hooks`, and no other platform; `platform.PLATFORM` says what it is.

Others use: `Conveniences`, `HoopAIState`.
"""
