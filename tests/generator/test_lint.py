"""Every rule of the linter, by documents that break it.

A case is a small document (`BASE`) with a patch: mappings are merged, `null` removes a key, `!set` replaces a value.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.cli import main
from generator.document import Document, load
from generator.lint import lint
from generator.parse import parse
from tests.generator.conftest import DOCUMENTS, make_project

BASE = """
openapi: 3.1.0
info: {title: Zoo, version: '1', x-sources: {book: The handbook}, x-client-headers: [Zoo-Version]}
security: [{bearer: []}]
tags: [{name: pets, description: Animals.}, {name: webhooks, description: Events.}]
paths:
  /pets/{petId}:
    parameters: [{$ref: '#/components/parameters/PetId'}]
    get:
      operationId: get_pet
      tags: [pets]
      summary: Get a pet.
      x-source: book
      parameters: [{name: limit, in: query, description: Rows., schema: {type: integer}}]
      responses: {'200': {$ref: '#/components/responses/Pet'}}
    put:
      operationId: put_pet
      tags: [pets]
      summary: Put a pet.
      x-source: book
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/PetPut'}}}
      responses: {'200': {$ref: '#/components/responses/Pet'}}
webhooks:
  Born:
    post:
      operationId: on_born
      tags: [webhooks]
      summary: A pet was born.
      x-source: book
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
      responses: {'200': {description: Taken.}}
components:
  securitySchemes: {bearer: {type: http, scheme: bearer}}
  parameters:
    PetId: {name: petId, in: path, required: true, description: The pet., schema: {type: string}}
  responses:
    Pet: {description: A pet., content: {application/json: {schema: {$ref: '#/components/schemas/Pet'}}}}
  schemas:
    Pet:
      type: object
      description: A pet.
      properties:
        name: {type: string}
        tags: {type: array, items: {type: string}}
    PetPut:
      type: object
      description: A pet to put.
      properties:
        name: {type: string, description: Its name.}
"""
GET = "/paths/~1pets~1{petId}/get"
PUT = "/paths/~1pets~1{petId}/put"
BODY = f"{PUT}/requestBody"
SCHEMAS = "/components/schemas"
PET = f"{SCHEMAS}/Pet"
PET_PUT = f"{SCHEMAS}/PetPut"
PET_ID = "/components/parameters/PetId"
LIMIT = f"{GET}/parameters/0"


class Replacement:
    """A value that takes the place of another, without being merged into it."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Loader(yaml.SafeLoader):
    """YAML with `!set`."""


def construct_replacement(loader: Loader, node: yaml.Node) -> Replacement:
    if isinstance(node, yaml.MappingNode):
        return Replacement(loader.construct_mapping(node, deep=True))
    if isinstance(node, yaml.SequenceNode):
        return Replacement(loader.construct_sequence(node, deep=True))
    return Replacement(loader.construct_scalar(cast(yaml.ScalarNode, node)))


Loader.add_constructor("!set", construct_replacement)


def merge(base: Any, patch: Any) -> Any:
    if isinstance(patch, Replacement):
        return patch.value
    if not isinstance(patch, dict) or not isinstance(base, dict):
        return patch
    merged = cast(dict[str, Any], copy.deepcopy(base))
    for key, value in cast(dict[str, Any], patch).items():
        if value is None:
            merged.pop(key)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def broken(patch: str) -> str:
    return yaml.safe_dump(merge(yaml.safe_load(BASE), yaml.load(patch, Loader=Loader)), sort_keys=False)


def findings_of(text: str, folder: Path) -> list[str]:
    path = folder / "zoo.yaml"
    path.write_text(text, encoding="utf-8")
    return [f"{finding.pointer}: {finding.message}" for finding in lint(load(path, "openapi/zoo.yaml"))]


def test_the_base_is_clean(tmp_path: Path) -> None:
    assert findings_of(BASE, tmp_path) == []


OPERATION_CASES = {
    "no operation id": (
        "paths: {'/pets/{petId}': {get: {operationId: null}}}",
        [f"{GET}: An operation needs an `operationId`"],
    ),
    "operation id not in snake_case": (
        "paths: {'/pets/{petId}': {get: {operationId: getPet}}}",
        [f"{GET}/operationId: The operationId `getPet` is not snake_case"],
    ),
    "operation id is a word of Python": (
        "paths: {'/pets/{petId}': {get: {operationId: import}}}",
        [f"{GET}/operationId: The operationId `import` is not snake_case, or a word of Python's own."],
    ),
    "operation id twice": (
        "webhooks: {Born: {post: {operationId: get_pet}}}",
        ["/webhooks/Born/post/operationId: The operationId `get_pet` is taken by GET /pets/{petId}."],
    ),
    "no summary": (
        "paths: {'/pets/{petId}': {get: {summary: null}}}",
        [f"{GET}: An operation needs a `summary`"],
    ),
    "summary without full stop": (
        "paths: {'/pets/{petId}': {get: {summary: Get a pet}}}",
        [f"{GET}/summary: A summary is one sentence with a full stop."],
    ),
    "summary too long": (
        "paths: {'/pets/{petId}': {get: {summary: " + 9 * "A long one " + "ends.}}}",
        [f"{GET}/summary: A summary has at most 88 characters; this one has 104."],
    ),
    "two tags": (
        "paths: {'/pets/{petId}': {get: {tags: [pets, webhooks]}}}",
        [f"{GET}: An operation has exactly one tag, its module; this one has 2."],
    ),
    "no tag": (
        "paths: {'/pets/{petId}': {get: {tags: null}}}",
        [f"{GET}: An operation has exactly one tag, its module; this one has 0."],
    ),
    "unknown tag": (
        "paths: {'/pets/{petId}': {get: {tags: [cats]}}}",
        [f"{GET}/tags/0: The tag `cats` is not among the document's `tags`."],
    ),
    "tag not in snake_case": (
        "{tags: [{name: Pets, description: Animals.}, {name: pets, description: A.}, {name: webhooks, description: E.}],"
        " paths: {'/pets/{petId}': {get: {tags: [Pets]}}}}",
        [f"{GET}/tags/0: The tag `Pets` is not snake_case"],
    ),
    "tag of the generator's own": (
        "paths: {'/pets/{petId}': {get: {tags: [webhooks]}}}",
        [f"{GET}/tags/0: The tag `webhooks` is the name of a module"],
    ),
    "tag without description": (
        "tags: [{name: pets}, {name: webhooks, description: Events.}]",
        ["/tags/0: A tag needs a description"],
    ),
    "no success": (
        "paths: {'/pets/{petId}': {get: {responses: !set {'404': {description: None.}}}}}",
        [f"{GET}/responses: An operation has exactly one 2xx response; this one has 0."],
    ),
    "two successes": (
        "paths: {'/pets/{petId}': {get: {responses: {'204': {description: None.}}}}}",
        [f"{GET}/responses: An operation has exactly one 2xx response; this one has 2."],
    ),
    "status that is none": (
        "paths: {'/pets/{petId}': {get: {responses: {default: {description: Any.}}}}}",
        [f"{GET}/responses/default: `default` is no HTTP status"],
    ),
    "two media types of a success": (
        "components: {responses: {Pet: {content: {text/plain: {schema: {type: string}}}}}}",
        [
            f"{GET}/responses/200: A success has one media type",
            f"{PUT}/responses/200: A success has one media type",
        ],
    ),
    "body that cannot be encoded": (
        "paths: {'/pets/{petId}': {put: {requestBody: {content: !set {application/xml: {schema:"
        " {$ref: '#/components/schemas/PetPut'}}}}}}}",
        [f"{BODY}/content/application~1xml: `application/xml` cannot be encoded"],
    ),
    "two media types of a body": (
        "paths: {'/pets/{petId}': {put: {requestBody: {content: {multipart/form-data: {schema:"
        " {$ref: '#/components/schemas/PetPut'}}}}}}}",
        [f"{BODY}: A body has exactly one media type; this one has 2."],
    ),
    "body without schema": (
        "paths: {'/pets/{petId}': {put: {requestBody: {content: {application/json: !set {}}}}}}",
        [
            f"{PET_PUT}: Nothing refers to this; remove it.",
            f"{BODY}/content/application~1json: A body needs a schema.",
        ],
    ),
    "form that is no object": (
        "paths: {'/pets/{petId}': {put: {requestBody: {content: !set {multipart/form-data: {schema:"
        " {type: array, items: {$ref: '#/components/schemas/PetPut'}}}}}}}}",
        [f"{BODY}/content/multipart~1form-data/schema: The body of a form is an object with properties."],
    ),
    "event that is no component": (
        "webhooks: {Born: {post: {requestBody: {content: {application/json: {schema: !set {type: string}}}}}}}",
        ["/webhooks/Born/post/requestBody/content/application~1json/schema: An event is a named object"],
    ),
    "webhook without body": (
        "webhooks: {Born: {post: {requestBody: null}}}",
        ["/webhooks/Born/post: A webhook needs a `requestBody`"],
    ),
}

PARAMETER_CASES = {
    "path parameter not declared": (
        "{paths: {'/pets/{petId}': {parameters: null}}, components: {parameters: null}}",
        [
            f"{GET}: The path parameter `petId` is not declared.",
            f"{PUT}: The path parameter `petId` is not declared.",
        ],
    ),
    "path parameter that the path has not": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: zoo, in: path, required: true, description: Z.,"
        " schema: {type: string}}]}}}",
        [f"{GET}: The path has no `{{zoo}}`, but the parameter is declared."],
    ),
    "path parameters in another order": (
        "{paths: {'/pets/{petId}': null, '/{zoo}/{petId}': {get: {operationId: get_pet, tags: [pets], x-source: book,"
        " summary: Get., parameters: [{$ref: '#/components/parameters/PetId'}, {name: zoo, in: path, required: true,"
        " description: Z., schema: {type: string}}], responses: {'200': {$ref: '#/components/responses/Pet'}}}}},"
        " components: {schemas: {PetPut: null}}}",
        ["/paths/~1{zoo}~1{petId}/get: Path parameters are declared in the path's order: zoo, petId."],
    ),
    "path parameter twice in the path": (
        "paths: {'/pets/{petId}': null, '/{petId}/{petId}': {get: {operationId: get_pet, tags: [pets], x-source: book,"
        " summary: Get., parameters: [{$ref: '#/components/parameters/PetId'}], responses: {'200':"
        " {$ref: '#/components/responses/Pet'}}}}}",
        [
            f"{PET_PUT}: Nothing refers to this",
            "/paths/~1{petId}~1{petId}/get: A path parameter stands twice in the path.",
        ],
    ),
    "path parameter not required": (
        "components: {parameters: {PetId: {required: false}}}",
        [f"{PET_ID}: A path parameter is always `required: true`."],
    ),
    "path parameter that is a list": (
        "components: {parameters: {PetId: {explode: false, schema: {type: array, items: {type: string}}}}}",
        [
            f"{PET_ID}/schema: A path parameter is a string or an integer.",
            f"{PET_ID}/schema: Lists and objects have no agreed form in a path or a header.",
        ],
    ),
    "cookie": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: cookie, description: A., schema: {type: string}}]}}}",
        [f"{LIMIT}: Parameters stand in path, query or header, not in `cookie`."],
    ),
    "parameter without description": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, schema: {type: string}}]}}}",
        [f"{LIMIT}: A parameter needs a description"],
    ),
    "parameter without schema": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, description: A.}]}}}",
        [f"{LIMIT}: A parameter needs a `schema`."],
    ),
    "list without a form": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, description: A., schema: {type: array,"
        " items: {type: string}}}]}}}",
        [f"{LIMIT}: Say with `explode`"],
    ),
    "object in a query": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, description: A., schema: {type: object,"
        " additionalProperties: true}}]}}}",
        [f"{LIMIT}/schema: An object has no agreed form in a query"],
    ),
    "header that is not ASCII": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: Versión, in: header, description: A., schema:"
        " {type: string}}]}}}",
        [f"{LIMIT}/name: The header name 'Versi\\xf3n' has characters that HTTP does not allow."],
    ),
    "header of the client's": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: zoo-version, in: header, description: A., schema:"
        " {type: string}}]}}}",
        [f"{LIMIT}/name: `zoo-version` is one of the headers in `info.x-client-headers`"],
    ),
    "header of every client's": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: Authorization, in: header, description: A., schema:"
        " {type: string}}]}}}",
        [f"{LIMIT}/name: The client sends `Authorization` itself"],
    ),
    "parameter twice": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, description: A., schema: {type: string}},"
        " {name: a, in: query, description: A., schema: {type: string}}]}}}",
        [f"{GET}/parameters/1: The parameter `a` is declared twice."],
    ),
}

SCHEMA_CASES = {
    "array without items": (
        "components: {schemas: {Pet: {properties: {tags: !set {type: array}}}}}",
        [f"{PET}/properties/tags: An array needs `items`"],
    ),
    "nullable": (
        "components: {schemas: {Pet: {properties: {name: {nullable: true}}}}}",
        [f"{PET}/properties/name: `nullable` is OpenAPI 3.0"],
    ),
    "anyOf": (
        "components: {schemas: {Pet: {properties: {name: !set {anyOf: [{type: string}, {type: 'null'}]}}}}}",
        [f"{PET}/properties/name: `anyOf` is written as `oneOf` here."],
    ),
    "keyword that is not translated": (
        "components: {schemas: {Pet: {properties: {name: {readOnly: true}}}}}",
        [f"{PET}/properties/name: The generator does not translate `readOnly`."],
    ),
    "closed object": (
        "components: {schemas: {Pet: {additionalProperties: false}}}",
        [f"{PET}: `additionalProperties: false` would forbid"],
    ),
    "boolean schema": (
        "components: {schemas: {Pet: {properties: {name: !set true}}}}",
        [f"{PET}/properties/name: A schema is an object"],
    ),
    "unknown type": (
        "components: {schemas: {Pet: {properties: {name: {type: any}}}}}",
        [f"{PET}/properties/name: `any` is no type of JSON."],
    ),
    "unknown format": (
        "components: {schemas: {Pet: {properties: {name: {format: date-tiem}}}}}",
        [f"{PET}/properties/name: The generator knows no format `date-tiem` of type `string`."],
    ),
    "two types": (
        "components: {schemas: {Pet: {properties: {name: {type: [string, integer]}}}}}",
        [f"{PET}/properties/name: A list of types is one type and then 'null'"],
    ),
    "inline enumeration": (
        "components: {schemas: {Pet: {properties: {name: {enum: [a]}}}}}",
        [f"{PET}/properties/name: An enumeration needs a name"],
    ),
    "inline object": (
        "components: {schemas: {Pet: {properties: {name: {type: object}}}}}",
        [f"{PET}/properties/name: An object needs a name"],
    ),
    "inline union": (
        "components: {schemas: {Pet: {properties: {name: !set {oneOf: [{type: string}, {type: integer}]}}}}}",
        [f"{PET}/properties/name: A union needs a name"],
    ),
    "inline allOf": (
        "components: {schemas: {Pet: {properties: {name: !set {allOf: [{$ref: '#/components/schemas/Pet'}]}}}}}",
        [f"{PET}/properties/name: `allOf` stands in a component only"],
    ),
    "enumeration of mixed values": (
        "components: {schemas: {Pet: {properties: {name: !set {$ref: '#/components/schemas/Kind'}}},"
        " Kind: {type: string, description: K., enum: [a, 1]}}}",
        [f"{SCHEMAS}/Kind: An enumeration has `type: string`"],
    ),
    "enumeration with a value twice": (
        "components: {schemas: {Pet: {properties: {name: !set {$ref: '#/components/schemas/Kind'}}},"
        " Kind: {type: string, description: K., enum: [a, b, a]}}}",
        [f"{SCHEMAS}/Kind: The value `a` stands twice in this enumeration."],
    ),
    "const that is a list": (
        "components: {schemas: {Pet: {properties: {name: !set {const: []}}}}}",
        [f"{PET}/properties/name: A `const` is a string, an integer or a boolean."],
    ),
    "required without property": (
        "components: {schemas: {Pet: {required: [nmae]}}}",
        [f"{PET}/required: `nmae` is required, but no property has this name."],
    ),
    "limits the wrong way round": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, description: A., schema: {type: integer,"
        " minimum: 2, maximum: 1}}]}}}",
        [f"{LIMIT}/schema: `minimum` is above `maximum`."],
    ),
    "limit of another type": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, description: A., schema: {type: integer,"
        " maxLength: 1}}]}}}",
        [f"{LIMIT}/schema: `maxLength` limits string, which this is not."],
    ),
    "default outside the limits": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, description: A., schema: {type: integer,"
        " maximum: 1, default: 2}}]}}}",
        [f"{LIMIT}/schema: The default 2 is outside the limits."],
    ),
    "pattern that cannot be compiled": (
        "paths: {'/pets/{petId}': {get: {parameters: [{name: a, in: query, description: A., schema: {type: string,"
        " pattern: '(?=a)'}}]}}}",
        [f"{LIMIT}/schema: The pattern '(?=a)' cannot be compiled"],
    ),
    "limit of an answer": (
        "components: {schemas: {Pet: {properties: {name: {maxLength: 9}}}}}",
        [f"{PET}/properties/name: `maxLength` limits an answer"],
    ),
    "request property without description": (
        "components: {schemas: {PetPut: {properties: {name: {description: null}}}}}",
        [f"{PET_PUT}/properties/name: A property of a request needs a description"],
    ),
}

COMPONENT_CASES = {
    "names that differ by case": (
        "components: {schemas: {Pet: {properties: {other: {$ref: '#/components/schemas/PET'}}},"
        " PET: {type: object, description: P., properties: {a: {type: string}}}}}",
        [f"{SCHEMAS}/PET: `PET` differs from `Pet` by case only."],
    ),
    "name with a suffix": (
        "components: {schemas: {Pet: {properties: {other: {$ref: '#/components/schemas/PetDto'}}},"
        " PetDto: {type: object, description: P., properties: {a: {type: string}}}}}",
        [f"{SCHEMAS}/PetDto: `PetDto` is not a concept in PascalCase"],
    ),
    "name of the generated code's own": (
        "components: {schemas: {Pet: {properties: {other: {$ref: '#/components/schemas/Model'}}},"
        " Model: {type: object, description: P., properties: {a: {type: string}}}}}",
        [f"{SCHEMAS}/Model: `Model` is a name that the generated code needs for itself."],
    ),
    "name of something derived": (
        "components: {schemas: {Pet: {properties: {other: {$ref: '#/components/schemas/GetPetQuery'}}},"
        " GetPetQuery: {type: object, description: P., properties: {a: {type: string}}}}}",
        [f"{SCHEMAS}/GetPetQuery: `GetPetQuery` is the name of what is generated for the operation `get_pet`."],
    ),
    "no description": (
        "components: {schemas: {Pet: {description: null}}}",
        [f"{PET}: A named schema needs a description"],
    ),
    "alias of itself": (
        "components: {schemas: {Pet: {properties: {name: !set {$ref: '#/components/schemas/Nest'}}},"
        " Nest: {type: array, description: N., items: {$ref: '#/components/schemas/Nest'}}}}",
        [f"{SCHEMAS}/Nest: This is defined by itself."],
    ),
    "reference that leads nowhere": (
        "components: {schemas: {Pet: {properties: {name: !set {$ref: '#/components/schemas/Cat'}}}}}",
        [f"{PET}/properties/name: `#/components/schemas/Cat` does not exist."],
    ),
    "reference to another file": (
        "components: {schemas: {Pet: {properties: {name: !set {$ref: 'cat.yaml#/Cat'}}}}}",
        [f"{PET}/properties/name: `cat.yaml#/Cat` is in another file"],
    ),
    "something beside a reference": (
        "components: {schemas: {Pet: {properties: {name: !set {$ref: '#/components/schemas/Pet', type: string}}}}}",
        [f"{PET}/properties/name: `type` beside `$ref` has no effect here"],
    ),
    "left over": (
        "components: {schemas: {Cat: {type: object, description: C., properties: {a: {type: string}}}}}",
        [f"{SCHEMAS}/Cat: Nothing refers to this; remove it."],
    ),
    "two properties with one name": (
        "components: {schemas: {Pet: {properties: {id: {type: string}, _id: {type: string}}}}}",
        [f"{PET}/properties/_id: `_id` and `id` are both `id` in `Pet`"],
    ),
    "property without a name": (
        "components: {schemas: {Pet: {properties: {'+1': {type: string}}}}}",
        [f"{PET}/properties/+1: `+1` has no Python name"],
    ),
    "argument of the generator's own": (
        "components: {schemas: {PetPut: {properties: {options: {type: string, description: O.}}}}}",
        [f"{PUT}: `options` would be the argument `options`"],
    ),
    "arguments with one name": (
        "components: {schemas: {PetPut: {properties: {pet_id: {type: string, description: O.}}}}}",
        [f"{PUT}: `pet_id` and `petId` are both `pet_id` in `put_pet`"],
    ),
}

UNION = """
components:
  schemas:
    Pet: {properties: {name: !set {$ref: '#/components/schemas/Toy'}}}
    Toy:
      description: A toy.
      oneOf: [{$ref: '#/components/schemas/Ball'}, {$ref: '#/components/schemas/Bone'}]
      discriminator:
        propertyName: type
        mapping: {ball: '#/components/schemas/Ball', bone: '#/components/schemas/Bone'}
    Ball: {type: object, description: B., required: [type], properties: {type: {type: string, const: ball}}}
    Bone: {type: object, description: B., required: [type], properties: {type: {type: string, const: bone}}}
"""
TOY = f"{SCHEMAS}/Toy"
MAPPING = f"{TOY}/discriminator/mapping"
UNION_CASES = {
    "clean": ("{}", []),
    "no discriminator": (
        "components: {schemas: {Toy: {discriminator: null}}}",
        [f"{TOY}: A union of several objects needs a `discriminator`"],
    ),
    "no mapping": (
        "components: {schemas: {Toy: {discriminator: {mapping: null}}}}",
        [
            f"{TOY}/discriminator: A discriminator needs a `mapping` of its tags.",
            f"{TOY}/discriminator: `#/components/schemas/Ball` is a member without a tag in `mapping`.",
            f"{TOY}/discriminator: `#/components/schemas/Bone` is a member without a tag in `mapping`.",
        ],
    ),
    "tag without member": (
        "components: {schemas: {Toy: {oneOf: [{$ref: '#/components/schemas/Ball'}]}}}",
        [f"{MAPPING}/bone: `#/components/schemas/Bone` is not among the members."],
    ),
    "another constant": (
        "components: {schemas: {Bone: {properties: {type: {const: stick}}}}}",
        [f"{MAPPING}/bone: The property `type` of this member is not `const: bone`."],
    ),
    "tag not required": (
        "components: {schemas: {Bone: {required: null}}}",
        [f"{MAPPING}/bone: The property `type` of this member is not required."],
    ),
    "member that is no object": (
        "components: {schemas: {Bone: !set {type: string, description: B.}}}",
        [f"{MAPPING}/bone: A member of a discriminated union is an object with properties."],
    ),
    "allOf of one": (
        "components: {schemas: {Pet: {properties: {bone: {$ref: '#/components/schemas/Fish'}}},"
        " Fish: {description: F., allOf: [{$ref: '#/components/schemas/Bone'}]}}}",
        [f"{SCHEMAS}/Fish: `allOf` with one part says nothing; refer to the part itself."],
    ),
    "allOf of what is no object": (
        "components: {schemas: {Pet: {properties: {bone: {$ref: '#/components/schemas/Fish'}}},"
        " Text: {type: string, description: T.}, Fish: {description: F., allOf: [{$ref: '#/components/schemas/Bone'},"
        " {$ref: '#/components/schemas/Text'}]}}}",
        [f"{SCHEMAS}/Fish/allOf/1: Only objects with properties can be put together with `allOf`."],
    ),
}

EXTENSION_CASES = {
    "unknown key": (
        "paths: {'/pets/{petId}': {get: {x-retyr: safe}}}",
        [f"{GET}/x-retyr: `x-retyr` is not known here"],
    ),
    "key in the wrong place": (
        "components: {schemas: {Pet: {x-retry: safe}}}",
        [f"{PET}/x-retry: `x-retry` is not known here"],
    ),
    "value that means nothing": (
        "paths: {'/pets/{petId}': {get: {x-retry: always}}}",
        [f"{GET}/x-retry: `x-retry` cannot be 'always'"],
    ),
    "unknown source": (
        "paths: {'/pets/{petId}': {get: {x-source: hearsay}}}",
        [f"{GET}/x-source: `hearsay` is not among `info.x-sources`."],
    ),
    "no source": (
        "paths: {'/pets/{petId}': {get: {x-source: null}}}",
        [f"{GET}: An operation needs an `x-source`"],
    ),
    "nothing to unwrap": (
        "paths: {'/pets/{petId}': {get: {x-unwrap: data}}}",
        [f"{GET}/x-unwrap: The successful answer has no property `data`."],
    ),
    "items that are no array": (
        "paths: {'/pets/{petId}': {get: {x-items: name}}}",
        [f"{GET}/x-items: The result has no array `name`."],
    ),
    "single that is no list": (
        "paths: {'/pets/{petId}': {get: {x-single-as-list: true}}}",
        [f"{GET}/x-single-as-list: The result is no array."],
    ),
    "filled under another name": (
        "components: {parameters: {PetId: {x-from-client: zoo_id}}}",
        [f"{PET_ID}/x-from-client: The client's `zoo_id` cannot fill the argument `pet_id`."],
    ),
    "impossible name": (
        "components: {schemas: {Pet: {properties: {name: {x-python-name: class}}}}}",
        [f"{PET}/properties/name/x-python-name: `x-python-name` cannot be 'class'"],
    ),
    "group of an unknown property": (
        "components: {schemas: {PetPut: {x-require-one-of: [[name, nmae]]}}}",
        [f"{PET_PUT}/x-require-one-of: `PetPut` has no property `nmae`."],
    ),
    "group that is no group": (
        "components: {schemas: {PetPut: {x-require-together: [name]}}}",
        [f"{PET_PUT}/x-require-together: `x-require-together` cannot be ['name']"],
    ),
    "group in an answer": (
        "components: {schemas: {Pet: {x-require-one-of: [[name, tags]]}}}",
        [f"{PET}/x-require-one-of: `x-require-one-of` is a rule for requests, but answers hold `Pet` too."],
    ),
    "group of an unknown parameter": (
        "paths: {'/pets/{petId}': {get: {x-require-one-of: [[limit, skip]]}}}",
        [f"{GET}/x-require-one-of: The operation has no query parameter `skip`."],
    ),
    "what OpenAPI forbids": (
        "paths: {'/pets/{petId}': {get: {responses: {'404': {}}}}}",
        [f"{GET}/responses/404: OpenAPI does not allow this: "],
    ),
    "another version": ("openapi: 3.0.3", ["/openapi: The version is 3.1, not 3.0.3."]),
}

CASES = OPERATION_CASES | PARAMETER_CASES | SCHEMA_CASES | COMPONENT_CASES | EXTENSION_CASES


@pytest.mark.parametrize(("patch", "expected"), CASES.values(), ids=CASES)
def test_rules(patch: str, expected: list[str], tmp_path: Path) -> None:
    compare(findings_of(broken(patch), tmp_path), expected)


@pytest.mark.parametrize(("patch", "expected"), UNION_CASES.values(), ids=UNION_CASES)
def test_rules_of_unions(patch: str, expected: list[str], tmp_path: Path) -> None:
    document = merge(merge(yaml.safe_load(BASE), yaml.load(UNION, Loader=Loader)), yaml.load(patch, Loader=Loader))
    compare(findings_of(yaml.safe_dump(document, sort_keys=False), tmp_path), expected)


def compare(found: list[str], expected: list[str]) -> None:
    assert len(found) == len(expected), found
    for line, start in zip(found, expected, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("openapi: [", ": This is not YAML: "),
        ("", ": A document is a mapping"),
        ("- a", ": A document is a mapping"),
        ("paths: {a: 1, a: 2}", "/paths/a: The key 'a' stands here twice."),
        ("responses: {200: {description: A.}}", "/responses/200: The key '200' is not a string; put it in quotes."),
    ],
)
def test_what_is_not_a_document(text: str, expected: str, tmp_path: Path) -> None:
    (found,) = findings_of(text, tmp_path)
    assert found.startswith(expected)


def test_text_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_bytes(b"a: \xff")
    (finding,) = lint(load(path, "openapi/zoo.yaml"))
    assert finding.message == "This is not UTF-8 text: invalid start byte at byte 3."


def test_all_findings_come_at_once_with_their_lines_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = BASE.replace("summary: Get a pet.", "summary: Get").replace("in: query,", "in: query, x-odd: 1,")
    text = text.replace("description: A pet to put.", "x-retry: safe")
    root = make_project(tmp_path, text)
    assert main([], root=root) == 1
    assert not (root / "src").exists()
    lines = capsys.readouterr().err.splitlines()
    number = {
        key: 1 + text.splitlines().index(next(line for line in text.splitlines() if key in line))
        for key in (
            "summary: Get",
            "x-odd",
            "x-retry: safe",
            "PetPut:",
        )
    }
    assert lines == [
        f"openapi/zoo.yaml#{PET_PUT}: A named schema needs a description: it becomes a docstring."
        f" (line {number['PetPut:']})",
        f"openapi/zoo.yaml#{PET_PUT}/x-retry: `x-retry` is not known here; openapi/README.md lists the keys."
        f" (line {number['x-retry: safe']})",
        f"openapi/zoo.yaml#{GET}/parameters/0/x-odd: `x-odd` is not known here; openapi/README.md lists the keys."
        f" (line {number['x-odd']})",
        f"openapi/zoo.yaml#{GET}/summary: A summary is one sentence with a full stop. (line {number['summary: Get']})",
    ]


def test_what_the_parser_refuses_is_a_finding_without_addresses(tmp_path: Path) -> None:
    path = tmp_path / "zoo.yaml"
    path.write_text(broken("components: {schemas: {Pet: {properties: {tags: !set {type: array}}}}}"))
    parsed, findings = parse(load(path, "openapi/zoo.yaml"))
    assert parsed is None
    assert findings
    for finding in findings:
        assert finding.message.startswith("The parser refuses this: ")
        assert "0x" not in finding.message
    assert {finding.pointer for finding in findings} >= {PET, GET}


NASTY = load(DOCUMENTS / "nasty.yaml", "openapi/nasty.yaml")
PLACES = [place for place in NASTY.lines if place]
JUNK = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([]), st.just({}), st.just([{}]))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(PLACES), JUNK), min_size=1, max_size=2))
def test_no_document_breaks_the_linter(damage: list[tuple[str, Any]]) -> None:
    data = copy.deepcopy(NASTY.data)
    for place, junk in damage:
        replace_at(data, place, junk)
    document = Document(vendor="nasty", name="nasty.yaml", data=data, digest="", lines={})
    if not lint(document):
        parse(document)


def replace_at(data: Any, place: str, junk: Any) -> None:
    *path, last = [part.replace("~1", "/").replace("~0", "~") for part in place.split("/")[1:]]
    for part in path:
        try:
            data = data[int(part)] if isinstance(data, list) else data[part]
        except (KeyError, IndexError, TypeError, ValueError):
            return
    if isinstance(data, dict):
        data[last] = junk
    elif isinstance(data, list) and int(last) < len(cast(list[Any], data)):
        data[int(last)] = junk
