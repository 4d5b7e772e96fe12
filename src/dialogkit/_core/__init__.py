"""What the clients of all platforms are made of. Nothing in here knows a platform.

The map. A room imports from lower floors only; imports for types and lazy ones count, and rooms of one floor do not
know each other. Outside a room, only what its docstring names is used. `tests/test_house.py` reads this page.

    6  client      what a platform's client and its namespaces are made of
    5  sending     the way of one call, from its arguments to its result or error
    5  webhooks    deliveries: proven, read, and handled once
    4  codec       values to and from the wire: models, arguments, text, answers that differ from the document
    4  files       uploads, downloads, and the names of files
    4  lists       pages, their styles, and cursors
    4  auth        credentials: fixed ones, OAuth's tokens, and where those are kept
    4  observing   whoever looks on: hooks, log, telemetry; deprecations, drift
    3  http        requests and answers, and the engines that carry them: the only room that knows httpx and aiohttp
    3  limits      how fast requests may go, in this process and through Redis
    3  call        the words of a call: operation, arguments, options
    3  response    the words of an answer: what came, and about it
    2  support     what any room may need and no platform is about
    2  events      what hooks are told
    1  errors      all that can go wrong, as types
"""
