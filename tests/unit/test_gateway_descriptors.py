"""Services and descriptor set as the gateway reads them from the contracts."""

from connectra_gateway import descriptors
from google.protobuf import descriptor_pb2, descriptor_pool

SERVICES = {service.name: service for service in descriptors.services()}


def test_every_domain_has_a_rest_and_a_typed_door() -> None:
    for cluster in ("query", "write", "jobs"):
        mine = [service for service in SERVICES.values() if service.cluster == cluster]
        assert [service.name for service in mine if service.is_rest] == [
            f"connectra.{cluster}.v1.{cluster.title()}RestService"
        ]
        assert any(not service.is_rest for service in mine)


def test_streaming_methods_are_known() -> None:
    assert SERVICES["connectra.jobs.v1.JobsService"].streaming == ("WatchJob",)
    assert set(SERVICES["connectra.write.v1.IndexService"].streaming) == {"Reindex", "Verify"}
    assert "ExportContacts" in SERVICES["connectra.query.v1.QueryService"].streaming
    assert not any(service.streaming for service in SERVICES.values() if service.is_rest)


def test_descriptor_set_is_complete_and_in_order() -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors.descriptor_set())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)  # fails if an import has not been added before

    for name in SERVICES:
        pool.FindServiceByName(name)
    assert pool.FindExtensionByName("google.api.http")


def test_descriptor_set_keeps_the_http_annotations() -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptors.descriptor_set())
    options = [m.options for f in files.file for s in f.service for m in s.method if s.name == "QueryRestService"]

    assert options
    assert all(option.ByteSize() for option in options)


def test_descriptor_set_is_the_same_every_time() -> None:
    assert descriptors.descriptor_set() == descriptors.descriptor_set()
