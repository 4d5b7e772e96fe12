"""Serving: the way of a request from the socket through the engine to its answer, with the faults that it meets.

It may know `engine`, `hooks`, `faults` and `errors`, and is handed a `Platform`; it knows none by name.

Others use: of `app`, `SandboxApp` and `Settings`; of `server`, `ServerThread` and `ServerError`; of `log`,
`LoggedRequest`; of `injection`, `Injection`.
"""
