"""`python -m dialogkit.testing`: the sandbox by hand, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from dialogkit.testing.platforms import NAMES, platform_named

if TYPE_CHECKING:
    from dialogkit.testing import Delivery, LoggedRequest, Registration, Sandbox

_NO_TIER: Final = "none"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox until SIGINT or SIGTERM, with a line for each request and each webhook.

    Args:
        arguments: Command line, without the program; the process's own unless given.

    Returns:
        The exit status: 0, or 1 if the sandbox could not start.

    """
    options = _parse(arguments)
    try:
        from dialogkit import ConfigurationError  # noqa: PLC0415 - `--help` works without the extra, too
        from dialogkit.testing import Sandbox, SandboxError  # noqa: PLC0415 - as above
    except ImportError as error:
        return _fail(str(error))
    try:
        sandbox = Sandbox(
            host=options.host,
            port=options.port,
            **_limits(options.tier),
            seed=not options.empty,
            lenient=options.lenient,
            hosts=options.allow_host,
            on_request=_report,
            on_delivery=_report_delivery,
            platform=options.platform,
        )
    except ValueError as error:  # a tier of another platform
        return _fail(str(error))
    stopped = threading.Event()

    def stop(_: int, __: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        with sandbox:
            hooks = [_register(sandbox, url, options.webhook_secret) for url in options.webhook]
            _say(_greeting(sandbox, hooks, secret_is_known=bool(options.webhook_secret)))
            stopped.wait()
    except (SandboxError, ConfigurationError, ValueError) as error:
        return _fail(str(error))
    _say("Stopped.")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dialogkit.testing", description="A stand-in for a platform on loopback."
    )
    parser.add_argument("--platform", choices=NAMES, default=NAMES[0], help="which (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to bind, 0 for any (default: %(default)s)")
    parser.add_argument("--tier", help=f"rate limits: {_tiers()}; none for none (default: the platform's smallest)")
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="name that requests may call it by, besides numeric addresses and names without a dot; may be repeated",
    )
    parser.add_argument("--lenient", action="store_true", help="be kinder than the platform, see Sandbox(lenient=True)")
    parser.add_argument("--empty", action="store_true", help="start without the rows that have fixed ids")
    parser.add_argument(
        "--webhook",
        metavar="URL",
        action="append",
        default=[],
        help="endpoint on this machine that is told of events, signed as the platform does it; may be repeated",
    )
    parser.add_argument("--webhook-secret", metavar="SECRET", help="sign them by HMAC with this secret")
    return parser.parse_args(arguments)


def _tiers() -> str:
    return "; ".join(f"{', '.join(platform_named(name).tiers)} of {name}" for name in NAMES)


def _limits(tier: str | None) -> dict[str, Any]:
    return {} if tier is None else {"tier": None if tier == _NO_TIER else tier}


def _register(sandbox: Sandbox[Any], url: str, secret: str | None) -> Registration:
    return sandbox.webhooks.register(url, scheme="hmac" if secret else None, secret=secret or None)


def _greeting(sandbox: Sandbox[Any], hooks: Sequence[Registration], *, secret_is_known: bool) -> str:
    platform = sandbox.platform
    settings = {"API_KEY": sandbox.api_key, "BASE_URL": sandbox.url}
    options = {name: getattr(sandbox, source) for name, source in platform.client_options.items()}
    settings |= {name.upper(): value for name, value in options.items() if name in platform.environment}
    own = "".join(f", {name}={_quoted(value)}" for name, value in options.items())
    given = ", ".join(f"{name}={_quoted(value)}" for name, value in options.items() if name not in platform.environment)
    shown = "".join(f"  {name.lower().replace('_', ' '):12} {value}\n" for name, value in settings.items())
    told = "".join(
        f"  webhooks to  {hook.url}, {_how_to_verify(hook, secret_is_known=secret_is_known)}\n" for hook in hooks
    )
    exports = "".join(f"  export {platform.name.upper()}_{name}={value}\n" for name, value in settings.items())
    return f"""\
{platform.name} sandbox at {sandbox.url}, rate limits: {sandbox.tier or "none"}

{shown}{told}
Point a client at it:

  {platform.name}("{sandbox.api_key}", base_url="{sandbox.url}"{own})

or set the environment and call {platform.name}({given}):

{exports}
Requests appear below. Ctrl-C stops it.
"""


def _quoted(text: str | None) -> str:
    return "None" if text is None else f'"{text}"'


def _how_to_verify(hook: Registration, *, secret_is_known: bool) -> str:
    if hook.public_key:
        return f"public key {hook.public_key}"
    return "signed with the secret" if secret_is_known else f"signed with the secret {hook.secret}"


def _report(request: LoggedRequest) -> None:
    _say(f"{request.status or '---'} {request.method:6} {request.path}  {request.operation_id or '-'}")


def _report_delivery(delivery: Delivery) -> None:
    last = delivery.attempts[-1]
    outcome = last.error or ("accepted" if last.accepted else "not accepted")
    number = len(delivery.attempts)
    _say(f"{last.status or '---'} webhook {delivery.event} to {delivery.url}, attempt {number}: {outcome}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
