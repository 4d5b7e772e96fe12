"""Requests and answers as data, and the engines that carry them over a network.

The only room that names httpx and aiohttp. Whatever goes wrong leaves it as a `TransportFailure`, which says the one
thing that decides about a repetition: may the request have reached the server?

Others use: `Answer`, `check_base_url`, `check_url`, `Connection`, `failure`, `Origin`, `origin_and_target`, `pool`,
    `Request`, `TransportFailure`.
"""
