"""The few JSON Schema shapes that everything else is put together from."""

from typing import Any

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
NUMBER: Json = {"type": "integer"}
FLAG: Json = {"type": "boolean"}
NULLABLE: Json = {"type": ["string", "null"]}
OBJECT: Json = {"type": "object"}


def ref(name: str) -> Json:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def obj(required: str = "", **properties: Any) -> Json:
    """An object; all members are required unless `required` names those that are, separated by spaces."""
    return {"type": "object", "properties": properties, "required": required.split() if required else [*properties]}


def array(items: Json) -> Json:
    """A list of such items."""
    return {"type": "array", "items": items}


def enum(*values: str) -> Json:
    """One of these texts."""
    return {"enum": [*values]}
