"""The typed door for the worker pools."""

from dataclasses import asdict

from connectra.write.internal.v1 import import_service_pb2 as pb
from connectra.write.internal.v1 import import_service_pb2_grpc as pb_grpc
from connectra_common.consistency import Kind, Token
from connectra_common.records.ids import checked_uuid
from connectra_common.server import Context

from connectra_write.imports.outcomes import LeftOutCell, RejectedRow
from connectra_write.imports.parse import ImportBatch
from connectra_write.imports.service import ImportService


class ImportServicer(pb_grpc.ImportServiceServicer):
    """See proto/connectra/write/internal/v1/import_service.proto for what each method promises."""

    def __init__(self, imports: ImportService) -> None:
        self._imports = imports

    async def ImportBatch(self, request: pb.ImportBatchRequest, context: Context) -> pb.ImportBatchResponse:
        applied = await self._imports.apply(
            ImportBatch(
                job_uuid=request.job_uuid,
                number=request.batch_number,
                records=request.records,
                columns=tuple(request.columns),
                targets=tuple(request.targets),
                delimiter=request.delimiter or ",",
                first_line=request.first_line,
                byte_start=request.byte_start,
                byte_end=request.byte_end,
                generation=request.generation,
                input=request.input,
            )
        )
        return pb.ImportBatchResponse(
            counts=pb.ImportCounts(**asdict(applied.counts)),
            rejected=_rejected(applied.rejected),
            left_out=_left_out(applied.left_out),
            consistency_token=_token(applied.token, request.job_uuid),
            replayed=applied.replayed,
            index_wait_seconds=applied.waited_seconds,
        )

    async def GetImportProgress(
        self, request: pb.GetImportProgressRequest, context: Context
    ) -> pb.GetImportProgressResponse:
        progress = await self._imports.progress(request.job_uuid, request.generation)
        return pb.GetImportProgressResponse(
            batches=progress.batches,
            byte_offset=progress.byte_offset,
            next_line=progress.next_line,
            counts=pb.ImportCounts(**asdict(progress.counts)),
            consistency_token=_token(progress.token, request.job_uuid),
            rejected=_rejected(progress.rejected),
            left_out=_left_out(progress.left_out),
        )


def _token(mark: int | None, job_uuid: str) -> str:
    return "" if mark is None else str(Token(mark, Kind.JOB, checked_uuid(job_uuid)))


def _rejected(rows: list[RejectedRow]) -> list[pb.RejectedRow]:
    return [pb.RejectedRow(**asdict(row)) for row in rows]


def _left_out(cells: list[LeftOutCell]) -> list[pb.LeftOutCell]:
    return [pb.LeftOutCell(**asdict(cell)) for cell in cells]
