"""The typed door of the index service."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict

from connectra.write.v1 import index_service_pb2 as pb
from connectra.write.v1 import index_service_pb2_grpc as pb_grpc
from connectra_common.server import Context

from connectra_write.index.service import IndexService
from connectra_write.operations import Operation


class IndexServicer(pb_grpc.IndexServiceServicer):
    """See proto/connectra/write/v1/index_service.proto for what each method promises."""

    def __init__(self, service: IndexService) -> None:
        self._service = service

    async def GetIndexStatus(self, request: pb.GetIndexStatusRequest, context: Context) -> pb.GetIndexStatusResponse:
        numbers, states = await self._service.status()
        return pb.GetIndexStatusResponse(
            pending=numbers.pending,
            oldest_pending_seconds=numbers.oldest_seconds,
            dead_letters=numbers.dead_letters,
            indexers=numbers.indexers,
            indices=[
                pb.IndexState(
                    entity=state.entity,
                    index_name=state.index_name,
                    documents=state.documents,
                    previous=state.previous,
                    rebuild=_progress(state.under_way) if state.under_way else None,
                    check=pb.IndexCheck(**asdict(state.check)) if state.check else None,
                )
                for state in states
            ],
        )

    async def ListDeadLetters(self, request: pb.ListDeadLettersRequest, context: Context) -> pb.ListDeadLettersResponse:
        found, token = await self._service.dead_letters(request.limit, request.page_token)
        letters = [pb.DeadLetter(entity=d.entity, uuid=d.uuid, reason=d.reason) for d in found]
        return pb.ListDeadLettersResponse(dead_letters=letters, next_page_token=token)

    async def ReplayDeadLetters(
        self, request: pb.ReplayDeadLettersRequest, context: Context
    ) -> pb.ReplayDeadLettersResponse:
        return pb.ReplayDeadLettersResponse(replayed=await self._service.replay(list(request.uuids)))

    async def Reindex(self, request: pb.ReindexRequest, context: Context) -> AsyncGenerator[pb.ReindexResponse]:
        steps = self._service.reindex(request.entity, request.abort, request.shards, request.accept_other_answers)
        async with aclosing(steps):
            async for progress in steps:
                yield _progress(progress)

    async def RollbackIndex(self, request: pb.RollbackIndexRequest, context: Context) -> pb.RollbackIndexResponse:
        operation = await self._service.rollback(request.entity)
        return pb.RollbackIndexResponse(
            index_name=operation.index_name,
            marked=operation.found.get("outdated", 0),
            phase=operation.phase.value,
            reason=operation.reason,
        )

    async def DropPreviousIndex(
        self, request: pb.DropPreviousIndexRequest, context: Context
    ) -> pb.DropPreviousIndexResponse:
        return pb.DropPreviousIndexResponse(index_name=await self._service.drop_previous(request.entity))

    async def Verify(self, request: pb.VerifyRequest, context: Context) -> AsyncGenerator[pb.VerifyResponse]:
        steps = self._service.verify(
            *(request.entity, request.repair, request.after_uuid, request.records_per_second),
            *(request.max_seconds, request.abort),
        )
        told = 0
        async with aclosing(steps):
            async for operation in steps:
                found = operation.found
                examples = [pb.Drift(uuid=uuid, kind=kind) for uuid, kind in found.get("examples", [])[told:]]
                told += len(examples)
                yield pb.VerifyResponse(
                    after_uuid=operation.after_uuid,
                    compared=operation.documents_done,
                    repaired=found.get("repaired", 0),
                    complete=found.get("complete", False),
                    found=examples,
                    **found.get("kinds", {}),
                )


def _progress(operation: Operation) -> pb.ReindexResponse:
    return pb.ReindexResponse(
        phase=operation.phase.value,
        documents_done=operation.documents_done,
        documents_total=operation.documents_total,
        index_name=operation.index_name,
        reason=operation.reason,
        kind=operation.kind.value,
    )
