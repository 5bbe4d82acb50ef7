"""Services and descriptor set as the gateway reads them from the contracts."""

from connectra.write.internal.v1 import import_service_pb2
from connectra_common.contracts import openers
from connectra_common.rights import OPEN, Right
from connectra_gateway import descriptors
from google.protobuf import descriptor_pb2, descriptor_pool

SERVICES = {service.name: service for service in descriptors.services()}
METHODS = [method for service in SERVICES.values() for method in service.methods]


def test_every_domain_has_a_rest_and_a_typed_door() -> None:
    for cluster in ("query", "write", "jobs"):
        mine = [service for service in SERVICES.values() if service.cluster == cluster]
        assert [service.name for service in mine if service.is_rest] == [
            f"connectra.{cluster}.v1.{cluster.title()}RestService"
        ]
        assert any(not service.is_rest for service in mine)


def test_streaming_methods_are_known() -> None:
    assert streaming("connectra.jobs.v1.JobsService") == {"WatchJob"}
    assert streaming("connectra.write.v1.IndexService") == {"Reindex", "Verify"}
    assert "ExportContacts" in streaming("connectra.query.v1.QueryService")
    of_rest = [name for known, service in SERVICES.items() if service.is_rest for name in streaming(known)]
    assert of_rest == ["WatchJob"]


def streaming(service: str) -> set[str]:
    return {method.name.rpartition(".")[2] for method in SERVICES[service].methods if method.streams}


def test_every_method_declares_its_rights_once_or_that_it_needs_none() -> None:
    for method in METHODS:
        assert method.openers, f"{method.name}: option (connectra.common.v1.right) is missing"
        assert method.openers == {OPEN} or OPEN not in method.openers, method.name


def test_what_is_internal_is_nothing_to_the_gateway() -> None:
    assert import_service_pb2.DESCRIPTOR.services_by_name["ImportService"].methods
    assert not [name for name in SERVICES if ".internal." in name]
    assert b"ImportBatch" not in descriptors.descriptor_set()
    (method,) = (
        m for m in import_service_pb2.DESCRIPTOR.services_by_name["ImportService"].methods if "Batch" in m.name
    )
    assert openers(method) == frozenset()


def test_both_doors_of_a_method_need_the_same_right() -> None:
    rights = {method.name.replace("RestService", "Service"): method.openers for method in METHODS}
    assert not [
        method.name for method in METHODS if rights[method.name.replace("RestService", "Service")] != method.openers
    ]


def test_rights_divide_the_contracts_as_documented() -> None:
    opened: dict[str, set[str]] = {name: set() for name in (OPEN, *Right)}
    for method in METHODS:
        for name in method.openers:
            opened[name].add(method.name.rpartition(".")[2])
    assert opened[OPEN] == {"GetHealth", "GetDependencyHealth", "CheckHealth"}
    jobs = {"CreateJob", "ListJobs", "GetJob", "CancelJob", "RetryJob", "WatchJob", "ListJobFiles"}
    walks = {"SearchCompanies", "SearchContacts", "ExportCompanies", "ExportContacts"}
    index = {method.name.rpartition(".")[2] for method in SERVICES["connectra.write.v1.IndexService"].methods}
    assert opened[Right.EXPORT] == jobs | walks
    keys = {method.name.rpartition(".")[2] for method in SERVICES["connectra.gateway.v1.KeysService"].methods}
    assert opened[Right.ADMIN] == index | keys | jobs - {"CreateJob"}
    assert {name for name in opened[Right.IMPORT] if not name.endswith("Job")} >= {"CreateUploadUrl", "PreviewImport"}
    assert all(name.startswith(("Create", "Update", "Delete", "Upsert", "Batch")) for name in opened[Right.WRITE])
    assert all(
        name.startswith(("List", "Count", "Aggregate", "Suggest", "Explain", "Get", "BatchGet"))
        for name in opened[Right.READ]
    )


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
