"""A stand-in for the platform, on loopback, for the demo and for the tests of whoever uses dialogkit.

The map. A room imports from lower floors only, types and lazy imports counted; outside a room, only what its docstring
names is used. `tests/testing/test_house_of_the_sandbox.py` reads this page.

    7  pytest_plugin         the fixture `dialogkit_sandbox`
    6  sandbox               `Sandbox`, as users hold it in their hands
    6  signer                `WebhookSigner`, likewise
    5  serving               the way of a request, and of what a fault makes of it
    5  platforms             the list of platforms: the one place where a new one is named
    4  faults                what can go wrong
    4  hoopai                all there is about HoopAI: handlers, limits, bodies of errors, events, seeds
    4  hoverbot              the same of HoverBot
    4  convoai               the same of ConvoAI
    3  engine                serves any OpenAPI document, and knows no platform
    2  hooks                 events on their way to whoever is registered
    1  errors                what the sandbox itself raises
    1  loopback              sockets that connect to this machine only
    1  token_store_contract  tests for token stores, which need no sandbox

It needs the extra `testing`: `pip install 'dialogkit[testing]'`; `WebhookSigner` needs `webhooks`. Nothing is imported
before it is used.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from dialogkit.testing import faults
    from dialogkit.testing.errors import SandboxError
    from dialogkit.testing.hooks.deliveries import Attempt, Delivery
    from dialogkit.testing.hooks.signer import SignedWebhook
    from dialogkit.testing.hooks.webhooks import Registration
    from dialogkit.testing.platforms import Tier
    from dialogkit.testing.sandbox import Sandbox
    from dialogkit.testing.serving.injection import Injection
    from dialogkit.testing.serving.log import LoggedRequest
    from dialogkit.testing.signer import WebhookSigner

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
    "Attempt": "dialogkit.testing.hooks.deliveries",
    "Delivery": "dialogkit.testing.hooks.deliveries",
    "Injection": "dialogkit.testing.serving.injection",
    "LoggedRequest": "dialogkit.testing.serving.log",
    "Registration": "dialogkit.testing.hooks.webhooks",
    "Sandbox": "dialogkit.testing.sandbox",
    "SandboxError": "dialogkit.testing.errors",
    "SignedWebhook": "dialogkit.testing.hooks.signer",
    "Tier": "dialogkit.testing.platforms",
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
