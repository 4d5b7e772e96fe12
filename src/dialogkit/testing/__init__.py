"""A stand-in for the platform, on loopback, for the demo and for the tests of whoever uses dialogkit.

It needs the extra `testing`: `pip install 'dialogkit[testing]'`; `WebhookSigner` needs `webhooks`. Nothing is imported
before it is used.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dialogkit.testing import faults
    from dialogkit.testing.deliveries import Attempt, Delivery
    from dialogkit.testing.errors import SandboxError
    from dialogkit.testing.injection import Injection
    from dialogkit.testing.limits import Tier
    from dialogkit.testing.log import LoggedRequest
    from dialogkit.testing.sandbox import Sandbox
    from dialogkit.testing.signer import SignedWebhook, WebhookSigner
    from dialogkit.testing.webhooks import Registration

__all__ = [
    "Attempt",
    "Delivery",
    "Injection",
    "LoggedRequest",
    "Registration",
    "Sandbox",
    "SandboxError",
    "SignedWebhook",
    "Tier",
    "WebhookSigner",
    "faults",
]

_HOME: Final = {
    "Attempt": "dialogkit.testing.deliveries",
    "Delivery": "dialogkit.testing.deliveries",
    "Injection": "dialogkit.testing.injection",
    "LoggedRequest": "dialogkit.testing.log",
    "Registration": "dialogkit.testing.webhooks",
    "Sandbox": "dialogkit.testing.sandbox",
    "SandboxError": "dialogkit.testing.errors",
    "SignedWebhook": "dialogkit.testing.signer",
    "Tier": "dialogkit.testing.limits",
    "WebhookSigner": "dialogkit.testing.signer",
    "faults": "dialogkit.testing.faults",
}
_WITHOUT_THE_EXTRA: Final = frozenset({"SignedWebhook", "WebhookSigner"})
_NEEDED: Final = ("jsonschema", "python_multipart", "starlette", "uvicorn", "yaml")


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    needed = () if name in _WITHOUT_THE_EXTRA else _NEEDED
    if missing := [module for module in needed if find_spec(module) is None]:
        raise ImportError(
            f"The sandbox needs {', '.join(missing)} from the extra `testing`: pip install 'dialogkit[testing]'."
        )
    module = import_module(_HOME[name])
    value = module if name == "faults" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
