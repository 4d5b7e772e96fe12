"""The way of a request from the socket through the engine to its answer, with the fault that it meets.

It knows no platform by name: it is handed one.

Others use: `Injection`, `LoggedRequest`, `SandboxApp`, `ServerError`, `ServerThread`, `Settings`.
"""
