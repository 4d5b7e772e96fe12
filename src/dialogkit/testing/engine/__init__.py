"""The engine serves any OpenAPI document: it finds the operation, reads and checks the request, and keeps what is made.

It knows no platform: what one is, a `Platform` says. It may know `hooks` (a handler may register an endpoint) and
`errors`. Importing a module of it takes nothing beyond dialogkit, but for `schemas` (jsonschema) and `validation`
(starlette), so that what a platform is can be looked up without the extra.

Others use: of `platform`, `Platform`, `Arrival`; of `registry`, `Answer`, `Call`, `Handler`, `Outcome`, `Registry`,
`UploadedFile`, `pick`; of `refusals`, `Refusal` and its makers; of `state`, `State`, `Table`, `Row`, `Credential` and
the dates; of `limits`, `Limits`, `Window`, `Usage`, `Verdict`; of `document`, `read_document`, `Document`, `Operation`,
`Match`, `Json`; of `validation`, `RequestReader`; of `schemas`, `Schemas`; of `conformity`, both checks; of `links`,
`PREFIX` and `StoredFile`; of `paging`, all.
"""
