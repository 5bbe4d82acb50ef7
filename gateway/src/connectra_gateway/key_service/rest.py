"""The REST door: JSON as documented."""

from typing import Any

from connectra.gateway.v1 import keys_rest_pb2 as pb
from connectra.gateway.v1 import keys_rest_pb2_grpc as pb_grpc
from connectra_common.requests import read
from connectra_common.server import Context
from connectra_common.server.rest import envelope, read_object, send_headers
from connectra_common.times import rfc3339
from google.api.httpbody_pb2 import HttpBody

from connectra_gateway.clients import DEFAULT, Client, begin
from connectra_gateway.key_service.requests import CreateKeyBody, RotateKeyBody, UpdateKeyBody
from connectra_gateway.key_service.service import KeysService


class KeysRestServicer(pb_grpc.KeysRestServiceServicer):
    """See proto/connectra/gateway/v1/keys_rest.proto."""

    def __init__(self, service: KeysService) -> None:
        self._service = service

    async def ListKeys(self, request: pb.ListKeysRestRequest, context: Context) -> HttpBody:
        found = await self._service.all()
        return envelope(
            data=[_client(client) for client in found.clients],
            writable=found.read_only_reason is None,
            read_only_reason=found.read_only_reason,
        )

    async def CreateKey(self, request: pb.CreateKeyRestRequest, context: Context) -> HttpBody:
        body, warnings = read(CreateKeyBody, await read_object(request.body, required=True))
        client = await self._service.create(body)
        await send_headers(context, status=201)
        return _shown_once(client, warnings)

    async def UpdateKey(self, request: pb.UpdateKeyRestRequest, context: Context) -> HttpBody:
        body, warnings = read(UpdateKeyBody, await read_object(request.body, required=True))
        return envelope(data=_client(await self._service.update(request.name, body)), warnings=warnings or None)

    async def RotateKey(self, request: pb.RotateKeyRestRequest, context: Context) -> HttpBody:
        body, warnings = read(RotateKeyBody, await read_object(request.body))
        return _shown_once(await self._service.rotate(request.name, body), warnings)

    async def RevokeKey(self, request: pb.RevokeKeyRestRequest, context: Context) -> HttpBody:
        await self._service.revoke(request.name)
        return envelope(message="Client and keys revoked")


def _shown_once(client: Client, warnings: list[dict[str, str]]) -> HttpBody:
    return envelope(data={**_client(client), "key": client.key}, warnings=warnings or None)


def _client(client: Client) -> dict[str, Any]:
    return {
        "name": client.name,
        "rights": sorted(client.rights),
        "requests_per_minute": client.requests_per_minute,
        "keys": [
            {"begins": begin(key), "expires_at": rfc3339(key.expires_at) if key.expires_at else None}
            for key in client.keys
        ],
        "fixed": client.name == DEFAULT,
    }
