"""What workers share."""

from dataclasses import dataclass

from connectra.query.v1 import query_service_pb2_grpc
from connectra.write.internal.v1 import import_service_pb2_grpc
from connectra_common.db.database import Database
from connectra_common.settings import S3Settings
from connectra_common.storage.s3 import ObjectStore

from connectra_jobs.places import Places


@dataclass(frozen=True)
class Deps:
    """Made once a process, shared by all its workers."""

    database: Database
    s3: ObjectStore
    s3_settings: S3Settings
    write: import_service_pb2_grpc.ImportServiceStub
    query: query_service_pb2_grpc.QueryServiceStub
    places: Places
