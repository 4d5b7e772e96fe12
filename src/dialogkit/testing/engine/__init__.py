"""The engine serves any OpenAPI document: it finds the operation, reads and checks the request, and keeps what is made.

It knows no platform: what one is, a `Platform` says. It may know `hooks`, for a handler may register an endpoint.
Importing a module of it takes nothing beyond dialogkit, but for `schemas` (jsonschema) and `validation` (starlette), so
that what a platform is can be looked up without the extra.

Others use: `after_id`, `Answer`, `Arrival`, `Call`, `check_answer`, `check_event`, `Credential`, `Document`,
    `is_array`, `is_object`, `iso`, `Json`, `Limits`, `Match`, `matches`, `missing`, `not_found`, `numbered`,
    `one_text`, `Operation`, `Outcome`, `parse_iso`, `pick`, `Platform`, `PREFIX`, `read_document`, `Refusal`,
    `Registry`, `registry`, `RequestReader`, `retry_after`, `Row`, `S`, `Schemas`, `State`, `StoredFile`, `strangers`,
    `Table`, `UploadedFile`, `Usage`, `Verdict`, `Window`, `wrong`.
"""
