"""The certificates that servers are believed by, and the truth about a machine that has none to read."""

from __future__ import annotations

import errno
import os
import ssl
from typing import Final

import httpx

from dialogkit._core.errors import ConfigurationError
from dialogkit._core.http.failure import TransportFailure

_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls_context() -> ssl.SSLContext:
    """Return what httpx trusts: certifi's authorities, or what `SSL_CERT_FILE` or `SSL_CERT_DIR` names.

    Raises:
        ConfigurationError: What they name cannot be read.
        TransportFailure: This process may open no more files.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as exc:  # ssl.SSLError is one
        words = exc.strerror or type(exc).__name__
        full = exc.errno in {errno.EMFILE, errno.ENFILE}
    if full:
        raise TransportFailure(f"the certificates cannot be read ({words})", sent=False)
    named = next((name for name in _VARIABLES if os.environ.get(name)), None)
    what = "The certificates of this machine" if named is None else f"The certificates that {named} names"
    raise ConfigurationError(
        f"{what} cannot be read ({words}): no server can be trusted without them. Nothing was sent; point "
        f"{named or _VARIABLES[0]} to a file of certificates, or unset it."
    )
