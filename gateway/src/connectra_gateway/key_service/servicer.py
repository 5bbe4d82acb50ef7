"""The typed door."""

from datetime import UTC, datetime
from typing import Any

from connectra.gateway.v1 import keys_service_pb2 as pb
from connectra.gateway.v1 import keys_service_pb2_grpc as pb_grpc
from connectra_common.requests import read
from connectra_common.server import Context
from connectra_common.times import rfc3339
from google.protobuf.timestamp_pb2 import Timestamp

from connectra_gateway.clients import DEFAULT, Client, begin
from connectra_gateway.key_service.requests import CreateKeyBody, RotateKeyBody, UpdateKeyBody
from connectra_gateway.key_service.service import KeysService


class KeysServicer(pb_grpc.KeysServiceServicer):
    """See proto/connectra/gateway/v1/keys_service.proto for what each method promises."""

    def __init__(self, service: KeysService) -> None:
        self._service = service

    async def ListKeys(self, request: pb.ListKeysRequest, context: Context) -> pb.ListKeysResponse:
        found = await self._service.all()
        return pb.ListKeysResponse(
            clients=map(_client, found.clients),
            writable=found.read_only_reason is None,
            read_only_reason=found.read_only_reason or "",
        )

    async def CreateKey(self, request: pb.CreateKeyRequest, context: Context) -> pb.CreateKeyResponse:
        limit = request.requests_per_minute if request.HasField("requests_per_minute") else None
        # A message cannot tell an empty list from none.
        rights = list(request.rights) or None
        body = {"name": request.name, "rights": rights, "requests_per_minute": limit, **_end(request)}
        client = await self._service.create(read(CreateKeyBody, body).model)
        return pb.CreateKeyResponse(client=_client(client), key=client.key)

    async def UpdateKey(self, request: pb.UpdateKeyRequest, context: Context) -> pb.UpdateKeyResponse:
        body: dict[str, Any] = {"rights": list(request.rights)} if request.rights else {}
        if request.HasField("requests_per_minute"):
            body["requests_per_minute"] = request.requests_per_minute or None
        return pb.UpdateKeyResponse(
            client=_client(await self._service.update(request.name, read(UpdateKeyBody, body).model))
        )

    async def RotateKey(self, request: pb.RotateKeyRequest, context: Context) -> pb.RotateKeyResponse:
        overlap = {"overlap_seconds": request.overlap_seconds} if request.HasField("overlap_seconds") else {}
        client = await self._service.rotate(request.name, read(RotateKeyBody, {**overlap, **_end(request)}).model)
        return pb.RotateKeyResponse(client=_client(client), key=client.key)

    async def RevokeKey(self, request: pb.RevokeKeyRequest, context: Context) -> pb.RevokeKeyResponse:
        await self._service.revoke(request.name)
        return pb.RevokeKeyResponse()


def _client(client: Client) -> pb.KeyClient:
    return pb.KeyClient(
        name=client.name,
        rights=sorted(client.rights),
        requests_per_minute=client.requests_per_minute,
        keys=[pb.KeyStub(begins=begin(key), expires_at=_timestamp(key.expires_at)) for key in client.keys],
        fixed=client.name == DEFAULT,
    )


def _timestamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def _end(request: Any) -> dict[str, str | None]:
    if not request.HasField("expires_at"):
        return {}
    return {"expires_at": rfc3339(request.expires_at.ToDatetime(UTC))}
