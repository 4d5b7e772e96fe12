"""All there is about HoopAI in the sandbox: handlers, limits, bodies of errors, events, seeds, conveniences.

It may know `engine` and `hooks`, and no other platform.

Others use: of `platform`, `PLATFORM`; of `conveniences`, `Conveniences`; of `state`, `HoopAIState`.
"""
