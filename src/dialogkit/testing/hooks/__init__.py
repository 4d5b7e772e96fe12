"""Webhooks: what has happened goes, signed, to whoever is registered for it, and is repeated until it is accepted.

It knows neither the document nor a platform: how one signs, `Signatures` say, and what is sent of an event, an
`Envelope` makes. It may know `errors` only.

Others use: of `events`, `Event`; of `webhooks`, `Webhooks`, `Registration`, `Envelope`; of `deliveries`, `Attempt`,
`Delivery` and `Persistence`; of `signer`, `Signer`, `Signatures`, `Scheme` and `SignedWebhook`.
"""
