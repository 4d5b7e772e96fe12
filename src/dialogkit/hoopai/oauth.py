"""How HoopAI does OAuth 2.0."""

from __future__ import annotations

from typing import ClassVar

from dialogkit._core.auth import oauth
from dialogkit._core.auth.endpoint import OAuthEndpoints
from dialogkit.hoopai._generated.oauth import GET_ACCESS_TOKEN, GET_LOCATION_TOKEN, LIST_INSTALLED_LOCATIONS


class OAuth2(oauth.OAuth2):  # noqa: D101 - the next line
    __doc__ = oauth.OAuth2.__doc__

    _endpoints: ClassVar[OAuthEndpoints] = OAuthEndpoints(
        authorize_url="https://marketplace.leadconnectorhq.com/v2/oauth/chooselocation",
        token=GET_ACCESS_TOKEN,
        location_token=GET_LOCATION_TOKEN,
        company_operations=frozenset({GET_LOCATION_TOKEN.id, LIST_INSTALLED_LOCATIONS.id}),
    )
