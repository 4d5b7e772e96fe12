"""Requests and answers as data, and the engines that carry them over a network.

The only room that names httpx and aiohttp. There is one seam, `Transport`: each engine is a file that sends a `Request`
and returns an `Answer`, and whatever goes wrong leaves it as a `TransportFailure`, which says the one thing that
decides about a repetition: may the request have reached the server?

Others use: `Answer`, `AnswerTooLarge`, `AsyncClient`, `check_base_url`, `check_url`, `Connection`, `MAX_BYTES`,
    `Origin`, `origin_and_target`, `pool`, `Request`, `Transport`, `TransportFailure`.
"""
