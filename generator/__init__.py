"""Makes a vendor's `_generated` package from its OpenAPI document: `python -m generator [VENDOR ...] [--check]`.

document.py   reads the YAML, and knows the line of every place in it
lint/         finds everything in a document that breaks the conventions of openapi/README.md
normalise.py  rewrites a clean document into what the parser understands
parse.py      runs the parser of openapi-python-client and joins what it drops
model.py      the result: operations, models, types, as data
render.py     turns that into Python modules, with templates/
write.py      formats them, and writes all or nothing
"""
