"""What the sandbox itself raises."""


class SandboxError(RuntimeError):
    """The sandbox could not start or stop, or was caught doing something that it must not do."""
