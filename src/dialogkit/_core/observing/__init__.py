"""Whoever looks on while calls are sent, and cannot break them: observers, of which hooks, log and telemetry are three.

It may know `call`, `events` and `http`'s messages. Nothing that it writes has a credential or a query in it.

Others use: `Attempt`, `AttemptInfo`, `Deprecations`, `DriftLog`, `Hooks`, `Observer`, `secrets_of`, `Watch`.
"""
