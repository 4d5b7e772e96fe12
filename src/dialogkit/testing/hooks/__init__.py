"""Webhooks: what has happened goes, signed, to whoever is registered for it, and is repeated until it is accepted.

It knows neither the document nor a platform: how one signs, `Signatures` say, and what is sent of an event, a function.

Others use: `Attempt`, `Delivery`, `Event`, `Persistence`, `Registration`, `Scheme`, `Signatures`, `SignedWebhook`,
    `Signer`, `Webhooks`.
"""
