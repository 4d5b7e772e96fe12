"""Credentials: how a request proves who sends it, and how OAuth's tokens are got, renewed and kept.

It may know `call`, to ask a token endpoint through whoever calls. It knows no client.

Others use: `AccountAuth`, `Auth`, `AuthContext`, `BearerAuth`, `DrainableAuth`, `FileTokenStore`, `MemoryTokenStore`,
    `oauth`, `OAuthEndpoints`, `RedisTokenStore`, `Token`, `TokenStore`.
"""
