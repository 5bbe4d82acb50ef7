"""Which rows of the hits a list has, and in which order."""

from connectra_common.errors import FieldViolation, ValidationFailed
from connectra_common.refusals import PageOutOfRange, PageSizeExceeded
from connectra_common.requests import hinted
from connectra_common.vql.ast import Sort
from connectra_common.vql.limits import Limits
from connectra_common.vql.model import Vql
from connectra_common.vql.reading import Reading

# Of an order: whether it is descending, by its name in small letters.
DIRECTIONS = {"asc": False, "desc": True, "": False}


def window(request: Vql, limits: Limits) -> tuple[int, int, list[ValidationFailed]]:
    """Rows of the page, rows before it, and what is wrong with them."""
    limit, page, offset = request.limit or 0, request.page or 0, request.offset or 0
    errors: list[ValidationFailed] = []
    if limit > limits.page_size:
        errors.append(PageSizeExceeded(limit, limits.page_size))
    # Zero and negative values always meant the default.
    size = limit if limit > 0 else limits.default_page_size
    if page > limits.pages:
        errors.append(PageOutOfRange("page", page, limits.pages))
    if page > 0 and offset > 0:
        errors.append(ValidationFailed.at("offset", "cannot be given together with page; give one of the two"))
    elif offset > 0 and offset + size > limits.window:
        errors.append(PageOutOfRange("offset", offset, max(0, limits.window - size)))
    return size, (page - 1) * size if page > 0 else max(offset, 0), errors


def order_keys(reading: Reading, request: Vql, limits: Limits, found: list[FieldViolation]) -> tuple[Sort, ...]:
    """The keys of the order as requested, in either spelling; what is wrong with them goes to `found`."""
    asked = [(f"order_by[{i}]", o.order_by, o.order_direction) for i, o in enumerate(request.order_by or ())]
    if request.sort_by and asked:
        found.append(FieldViolation.at("sort_by", "cannot be given together with order_by; give one of the two"))
    elif request.sort_by:
        asked = [("", request.sort_by, request.sort_direction or "asc")]
    if len(asked) > limits.sort_keys:
        found.append(FieldViolation.at("order_by", f"{len(asked)} keys; at most {limits.sort_keys} are allowed"))
    known, unknown, sort = reading.fields, [], []
    for path, given, direction in asked[: limits.sort_keys]:
        if (name := reading.name(given)) not in known:
            unknown.append((f"{path}.order_by" if path else "sort_by", given))
        if (descending := DIRECTIONS.get(direction.lower())) is None:
            place = f"{path}.order_direction" if path else "sort_direction"
            found.append(FieldViolation.at(place, f"{direction[:60]!r} is neither 'asc' nor 'desc'"))
        sort.append(Sort(name, bool(descending)))
    if unknown:
        found += hinted(unknown, sorted(known), "order_by")
    return tuple(sort)
