"""How many webhooks can be verified, and how many the example backend takes in.

    python benchmarks/webhooks.py

The backend runs with uvicorn in a process of its own; each delivery has an id and a signature of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).parents[1]))

from dialogkit.hoopai import webhooks
from dialogkit.testing import Sandbox, WebhookSigner
from dialogkit.testing.hooks.signer import Signer
from tests.support.backend import backend, free_port

VERIFICATIONS = 3_000
DELIVERIES = 5_000
CONCURRENT = 50


def verifications() -> None:
    """Print what verifying and reading costs, by kind of signature."""
    signer = WebhookSigner()
    verifier = webhooks.verifier(
        public_key=signer.public_key, rsa_public_key=signer.rsa_public_key, secret=signer.secret
    )
    payload = {"type": "InboundMessage", "locationId": "loc_1", "contactId": "contact_1", "body": "Hello! " * 40}
    for scheme in ("hmac", "ed25519", "rsa"):
        signed = signer.sign(payload, scheme=scheme)
        rates: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(VERIFICATIONS):
                verifier.verify(signed.body, signed.headers)
            rates.append(VERIFICATIONS / (time.perf_counter() - began))
        print(f"{scheme}: {statistics.median(rates):,.0f} verified and read a second")


async def deliver(url: str, signer: Signer, location_id: str) -> None:
    """Print how fast the backend takes deliveries in."""
    event = {"type": "ConversationEscalated", "locationId": location_id, "conversationId": "conversation_1"}
    parcels = [signer.sign({**event, "webhookId": f"delivery_{number}"}) for number in range(DELIVERIES)]
    seconds: list[float] = []

    async def work(session: aiohttp.ClientSession) -> None:
        while parcels:
            parcel = parcels.pop()
            began = time.perf_counter()
            async with session.post(url, data=parcel.body, headers=dict(parcel.headers)) as answer:
                if (await answer.json()) != {"status": "accepted"}:
                    sys.exit(f"the backend answered {answer.status}")
            seconds.append(time.perf_counter() - began)

    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        await asyncio.gather(*(work(session) for _ in range(CONCURRENT)))
        took = time.perf_counter() - began
    p50, p99 = (statistics.quantiles(seconds, n=100)[each] * 1000 for each in (49, 98))
    rate = f"{DELIVERIES / took:,.0f} deliveries a second, {CONCURRENT} at once"
    print(f"backend: {rate}, p50 {p50:.0f} ms, p99 {p99:.0f} ms")


def main() -> None:
    verifications()
    with Sandbox() as sandbox:
        signer = sandbox.webhooks._own_signer()
        with backend(sandbox, free_port()) as url:
            asyncio.run(deliver(f"{url}/webhooks/hoopai", signer, sandbox.location_id))


if __name__ == "__main__":
    main()
