"""What a request may be at most, looked at before it is read: a small message can become a large object."""

from dataclasses import dataclass

from connectra_common.errors import PayloadTooLarge

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Of a JSON body.

    Args:
        bytes: of the body.
        values: what a comma or an opening bracket precedes.
        depth: of arrays and objects within each other.
    """

    bytes: int
    values: int
    depth: int = 64


BODY = BodyLimits(MIB, 50_000)
# Of the methods that take many records.
BULK_BODY = BodyLimits(6 * MIB, 250_000)

MESSAGE_BYTES = MIB
BATCH_MESSAGE_BYTES = 4 * MIB
# Records of a batch, with some room to tell the caller how many are too many.
BATCH_FIELDS = 10_000
# All that the transport takes; beside a body, a REST method has a path and a query.
MOST_BYTES = BULK_BODY.bytes + MIB


class MessageLimits:
    """Of the messages that a method takes."""

    def __init__(self, method: str) -> None:
        service, _, name = method.rpartition("/")
        is_batch = name.startswith("BatchUpsert")
        if service.endswith("RestService"):
            self._bytes = (BULK_BODY if is_batch else BODY).bytes + 64 * 1024
        elif ".internal." in service:
            self._bytes = MOST_BYTES
        else:
            self._bytes = BATCH_MESSAGE_BYTES if is_batch else MESSAGE_BYTES
        self._counts = is_batch and not service.endswith("RestService")

    def check(self, data: bytes) -> None:
        """Checks a message as it came.

        Raises:
            PayloadTooLarge: more bytes or fields than allowed.
        """
        if len(data) > self._bytes:
            raise PayloadTooLarge("the request is too large", details={"max_bytes": self._bytes})
        if self._counts and len(data) > BATCH_FIELDS and _has_more_fields(data, BATCH_FIELDS):
            raise PayloadTooLarge(f"the request has more than {BATCH_FIELDS:,} records")


def _has_more_fields(data: bytes, most: int) -> bool:
    """Whether a message in the wire format of protobuf has more fields, not counting those of its fields.

    Of what is no message, it may be either.
    """
    at, end = 0, len(data)
    try:
        for _ in range(most):
            if at >= end:
                return False
            kind, at = _varint(data, at)
            match kind & 7:
                case 0:
                    _, at = _varint(data, at)
                case 1:
                    at += 8
                case 2:
                    size, at = _varint(data, at)
                    at += size
                case 5:
                    at += 4
    except IndexError:
        return False
    return at < end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while (byte := data[at]) & 0x80:
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return value | byte << shift, at + 1
