"""Files in parts: through both doors, on the real object store."""

import asyncio
import random

import grpc
import httpx
import pytest
from connectra.jobs.v1 import jobs_service_pb2 as pb
from connectra.jobs.v1.jobs_service_pb2_grpc import JobsServiceStub
from connectra_common.server.peers import channel

from tests.support.http import client
from tests.support.jobs import download, run_job
from tests.support.stack import Stack
from tests.support.words import word

MIB = 1024**2


async def put(urls: list[str], parts: list[bytes]) -> None:
    async with client() as store:
        for answer in await asyncio.gather(*(store.put(u, content=p) for u, p in zip(urls, parts, strict=True))):
            answer.raise_for_status()


async def put_parts(api: httpx.AsyncClient, uuid: str, parts: dict[int, bytes]) -> None:
    answer = await api.post(f"/common/uploads/{uuid}/parts", json={"part_numbers": list(parts)})
    assert answer.status_code == 200, answer.text
    assert [url["part_number"] for url in answer.json()["parts"]] == list(parts)
    await put([url["upload_url"] for url in answer.json()["parts"]], list(parts.values()))


async def test_a_file_in_parts_is_sent_in_any_order_resumed_and_imported(api: httpx.AsyncClient) -> None:
    tag = word()
    lines = "".join(f"{tag} {n:0200},{n}@{tag}.example\n" for n in range(200))
    padding = f"# {'x' * 99}\n".encode() * (12 * MIB // 102)
    data = f"first_name,email\n{lines}".encode()
    # Most of it is one comment-like row after another, which the import rejects quickly.
    data += padding
    wanted = {"filename": "people.csv", "size_bytes": len(data), "part_size": 5 * MIB}
    begun = (await api.post("/common/uploads", json=wanted)).json()
    assert (begun["part_size"], begun["part_count"]) == (5 * MIB, 3)
    uuid = begun["upload_id"]
    assert begun["s3_key"].endswith(f"/{uuid}_people.csv")
    pieces = {n + 1: data[n * 5 * MIB : (n + 1) * 5 * MIB] for n in range(3)}

    await put_parts(api, uuid, {3: pieces[3]})
    early = await api.post(f"/common/uploads/{uuid}/complete")
    assert (early.status_code, early.json()["details"]) == (409, {"missing": [1, 2]})
    for _ in range(2):  # the answer to the first may have been lost
        await put_parts(api, uuid, {1: pieces[1]})
    there = (await api.get(f"/common/uploads/{uuid}/parts")).json()
    assert {p["part_number"]: p["size_bytes"] for p in there["parts"]} == {1: 5 * MIB, 3: len(pieces[3])}
    await put_parts(api, uuid, {2: pieces[2]})
    answers = await asyncio.gather(*(api.post(f"/common/uploads/{uuid}/complete") for _ in range(3)))
    answers.append(await api.post(f"/common/uploads/{uuid}/complete", json={"parts": []}))
    done = {"s3_key": begun["s3_key"], "size_bytes": len(data), "success": True}
    assert [answer.json() for answer in answers] == [done] * 4

    job = await run_job(api, "insert_csv_file", {"s3_key": begun["s3_key"]})
    assert (await download(api, job, "source")) == data
    assert job["job_response"]["created"] == 200, job["job_response"]
    for verb, tail in (("POST", "/parts"), ("DELETE", "")):
        body = {"part_numbers": [1]} if tail else None
        assert (await api.request(verb, f"/common/uploads/{uuid}{tail}", json=body)).status_code == 409


async def test_what_does_not_fit_is_refused(api: httpx.AsyncClient) -> None:
    for wanted, field in (
        ({"filename": "a.csv", "size_bytes": 5 * 1024**4 + 1}, "size_bytes"),
        ({"filename": "a.csv", "size_bytes": -1}, "size_bytes"),
        ({"filename": "a.csv", "part_size": 6 * 1024**3}, "part_size"),
        ({"filename": "連" * 80}, "filename"),
        ({"filename": "a/b"}, "filename"),
    ):
        answer = await api.post("/common/uploads", json=wanted)
        assert answer.status_code == 400, wanted
        assert [v["field"] for v in answer.json()["details"]["fields"]] == [field]
    many = await api.post("/common/uploads", json={"filename": "a", "size_bytes": 10**12, "part_size": 5 * MIB})
    assert many.json()["message"].endswith("for this size_bytes they need 100,000,000 bytes or more")
    large = (await api.post("/common/uploads", json={"filename": "a.csv", "size_bytes": 5 * 1024**4})).json()
    assert large["part_count"] <= 10_000
    path = f"/common/uploads/{large['upload_id']}"
    for numbers in ([], [0], [10_001], [1, 1], ["1"], list(range(1, 1002))):
        assert (await api.post(f"{path}/parts", json={"part_numbers": numbers})).status_code == 400, numbers
    await put_parts(api, large["upload_id"], {1: b"small", 2: b"small"})
    assert (await api.post(f"{path}/complete")).json()["details"]["missing"][0] == 3
    assert (await api.delete(path)).status_code == 200
    for answer in (await api.delete(path), await api.get(f"{path}/parts"), await api.post(f"{path}/complete")):
        assert answer.status_code == 404


async def test_a_file_of_untold_size_has_no_gap_and_no_small_part(api: httpx.AsyncClient) -> None:
    begun = (await api.post("/common/uploads", json={"filename": "a.csv"})).json()
    assert "size_bytes" not in begun
    path = f"/common/uploads/{begun['upload_id']}"
    assert (await api.post(f"{path}/complete")).json()["details"] == {"missing": [1]}
    await put_parts(api, begun["upload_id"], {1: b"a" * MIB, 2: b"b"})
    small = await api.post(f"{path}/complete")
    assert (small.status_code, small.json()["details"]) == (409, {"too_small": [1]})
    await put_parts(api, begun["upload_id"], {1: b"a" * 5 * MIB})
    assert (await api.post(f"{path}/complete")).json()["size_bytes"] == 5 * MIB + 1


async def test_more_parts_than_the_store_lists_at_once(api: httpx.AsyncClient) -> None:
    begun = (await api.post("/common/uploads", json={"filename": "a.csv"})).json()
    numbers = [*range(1, 1001), 1002]
    for some in (numbers[:500], numbers[500:]):
        await put_parts(api, begun["upload_id"], dict.fromkeys(some, b"x"))
    path = f"/common/uploads/{begun['upload_id']}"
    assert [part["part_number"] for part in (await api.get(f"{path}/parts")).json()["parts"]] == numbers
    assert (await api.post(f"{path}/complete")).json()["details"] == {"missing": [1001]}
    assert (await api.delete(path)).status_code == 200


async def test_an_announced_size_is_checked(api: httpx.AsyncClient) -> None:
    begun = (await api.post("/common/uploads", json={"filename": "a.csv", "size_bytes": 4})).json()
    await put_parts(api, begun["upload_id"], {1: b"longer"})
    answer = await api.post(f"/common/uploads/{begun['upload_id']}/complete")
    assert (answer.status_code, answer.json()["details"]) == (409, {"sent_bytes": 6, "size_bytes": 4})


async def test_one_put_shows_whether_it_is_there_but_has_no_parts(api: httpx.AsyncClient) -> None:
    answer = (await api.get("/common/upload-url", params={"filename": "a.csv"})).json()
    path = f"/common/uploads/{answer['s3_key'].rpartition('/')[2].partition('_')[0]}"
    assert (await api.get(f"{path}/parts")).json()["completed"] is False
    await put([answer["upload_url"]], [b"first_name\n"])
    assert (await api.get(f"{path}/parts")).json()["completed"] is True
    for call in (api.post(f"{path}/parts", json={"part_numbers": [1]}), api.post(f"{path}/complete"), api.delete(path)):
        assert (await call).status_code == 409


async def test_the_typed_door_does_the_same_and_an_upload_belongs_to_its_client(stack: Stack) -> None:
    data = random.Random(3).randbytes(5 * MIB + 1)
    mine, other = (("x-client-id", "mine"),), (("x-client-id", "other"),)
    async with channel(stack.grpc["jobs"]) as opened:
        jobs = JobsServiceStub(opened)
        wanted = pb.CreateUploadRequest(filename="a.csv", size_bytes=len(data), part_size=5 * MIB)
        upload = (await jobs.CreateUpload(wanted, metadata=mine)).upload
        assert (upload.part_count, upload.expires.seconds > 0) == (2, True)
        named = {"upload_id": upload.upload_id}
        urls = await jobs.CreateUploadPartUrls(
            pb.CreateUploadPartUrlsRequest(**named, part_numbers=[1, 2]), metadata=mine
        )
        await put([part.upload_url for part in urls.parts], [data[: 5 * MIB], data[5 * MIB :]])
        for call in (
            jobs.CreateUploadPartUrls(pb.CreateUploadPartUrlsRequest(**named, part_numbers=[1]), metadata=other),
            jobs.ListUploadParts(pb.ListUploadPartsRequest(**named), metadata=other),
            jobs.CompleteUpload(pb.CompleteUploadRequest(**named), metadata=other),
            jobs.AbortUpload(pb.AbortUploadRequest(**named), metadata=other),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        parts = await jobs.ListUploadParts(pb.ListUploadPartsRequest(**named), metadata=mine)
        assert [part.size_bytes for part in parts.parts] == [5 * MIB, 1]
        done = await jobs.CompleteUpload(pb.CompleteUploadRequest(**named), metadata=mine)
        assert (done.s3_key, done.size_bytes) == (upload.s3_key, len(data))
        assert (await jobs.ListUploadParts(pb.ListUploadPartsRequest(**named), metadata=mine)).completed
