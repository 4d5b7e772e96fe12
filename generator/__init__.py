"""Makes a vendor's `_generated` package from its OpenAPI document: `python -m generator [VENDOR ...] [--check]`.

document.py   reads the YAML, and knows the line of every place in it
lint/         finds everything in a document that breaks the conventions of openapi/README.md
normalise.py  rewrites a clean document into what the parser understands
parse.py      runs the parser of openapi-python-client and joins what it drops
build.py      makes the model of it (with operations.py, fields.py, schemas.py, order.py and naming.py)
model.py      that model: operations, classes and types, as data
render.py     turns it into Python modules (with renderfields.py, pytypes.py, docstrings.py and templates/)
write.py      formats them, and writes all or nothing
"""
