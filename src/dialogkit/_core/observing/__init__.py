"""Whoever looks on while calls are sent, and can neither stop nor break them.

It may know `call`, `events` and `http`'s messages. Nothing that it writes has a credential or a query in it.

Others use: `Attempt`, `Deprecations`, `DriftLog`, `Hooks`, `secrets_of`, `Watch`.
"""
