"""What platforms deliver: who sent it is proven, what it says is read as a typed event, and it is handled once.

It may know `codec` and what lies below; it sends nothing, and knows no web framework.

Others use: `Accounts`, `Claim`, `DedupeStore`, `DEFAULT_MAX_BODY`, `DEFAULT_TOLERANCE`, `Ed25519Scheme`,
    `handled_once`, `HmacScheme`, `Keys`, `MemoryDedupeStore`, `RedisDedupeStore`, `RsaScheme`, `sealed`, `Secrets`,
    `SecretVerifierOptions`, `SecretWebhooks`, `SignatureScheme`, `WebhookDelivery`, `WebhookEvent`, `WebhookFormat`,
    `WebhookHeaders`, `WebhookProof`, `WebhookVerifier`.
"""
