"""The few JSON Schema shapes that everything else is put together from."""

from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}
DECIMAL: Json = {"type": "number"}
FLAG: Json = {"type": "boolean"}
NULLABLE: Json = {"type": ["string", "null"]}
# Generators make closed classes of objects that do not say that other members may be there.
OBJECT: Json = {"type": "object", "additionalProperties": True}
UUID: Json = {"type": "string", "format": "uuid"}
MOMENT: Json = {"type": "string", "format": "date-time"}


def ref(name: str) -> Json:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def obj(required: str = "", about: str = "", /, **properties: Any) -> Json:
    """An object; all members are required unless `required` names those that are, separated by spaces; `-`: none is."""
    always = [*properties] if not required else [] if required == "-" else required.split()
    described = {"description": about} if about else {}
    return {"type": "object", **described, "properties": properties, **({"required": always} if always else {})}


def array(items: Json) -> Json:
    """A list of such items."""
    return {"type": "array", "items": items}


def table_of(values: Json) -> Json:
    """An object whose names are data."""
    return {"type": "object", "additionalProperties": values}


def enum(*values: str) -> Json:
    """One of these texts."""
    return {"type": "string", "enum": [*values]}


def nullable(schema: Json) -> Json:
    """The same, or null."""
    return {**schema, "type": [schema["type"], "null"]}


def said(about: str, schema: Json) -> Json:
    """The schema with what it means; beside a `$ref` too, as OpenAPI 3.1 allows."""
    return {**schema, "description": about}
