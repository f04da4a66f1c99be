"""Laws of the door itself: limits, health, reflection, TLS, and how it is shut."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub

from nfig_proto.v1 import image_generation_pb2 as pb
from nfig_proto.v1.image_generation_pb2_grpc import ImageGenerationServiceStub
from service.settings import GatewaySettings
from tests.service.gateway.rpc.refusals import code_of, field_of, refused

NAME = "nfig.v1.ImageGenerationService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
CAT = pb.ImageSpec(class_name="cat", seed=1)


async def health(door: Any, name: str = NAME) -> Any:
    answer = await HealthStub(door.channel).Check(health_pb2.HealthCheckRequest(service=name))
    return answer.status


async def test_each_service_is_healthy_by_name_and_no_other(door: Any) -> None:
    assert [await health(door, name) for name in (NAME, "")] == [SERVING, SERVING]
    error = await refused(health(door, "nfig.v1.Other"))
    assert error.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("trouble", ["down", "silent"])
async def test_health_follows_redis_there_and_back(door: Any, trouble: str) -> None:
    watch = HealthStub(door.channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
    async with asyncio.timeout(10):
        assert (await watch.read()).status == SERVING
        setattr(door.queue, trouble, True)
        assert (await watch.read()).status == NOT_SERVING
        assert await health(door) == NOT_SERVING
        setattr(door.queue, trouble, False)
        assert (await watch.read()).status == SERVING
    watch.cancel()


async def test_a_door_that_is_shut_says_so_and_lets_calls_finish(open_door: Any) -> None:
    door = await open_door(shutdown_grace_seconds=5)
    door.queue.band_gap_seconds = 0.1
    watch = HealthStub(door.channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
    assert (await watch.read()).status == SERVING
    call = door.stub.Generate(pb.GenerateRequest(spec=CAT))
    async with asyncio.timeout(4):
        while not door.queue.reading:
            await asyncio.sleep(0.01)
        closing = asyncio.create_task(door.door.close())
        assert (await watch.read()).status == NOT_SERVING
        assert await watch.read() is grpc.aio.EOF
        assert len((await call).images) == 1
        await closing
    assert door.queue.cancelled == []


async def test_what_outlasts_the_grace_is_cancelled_in_order(open_door: Any) -> None:
    door = await open_door(shutdown_grace_seconds=0)
    door.queue.hang_after_band, door.queue.cancel_seconds = 0, 0.1
    call = door.stub.GenerateStream(pb.GenerateStreamRequest(spec=CAT))
    await call.read()
    async with asyncio.timeout(5):
        await door.door.close()
    # The queue was told before the door was shut.
    assert (door.queue.cancelled, door.queue.reading) == (["job-0"], 0)


async def test_reflection_lists_and_describes_the_services(door: Any) -> None:
    ask = reflection_pb2.ServerReflectionRequest
    questions = [ask(list_services=""), ask(file_containing_symbol=NAME)]
    call = ServerReflectionStub(door.channel).ServerReflectionInfo(iter(questions))
    listed, described = [answer async for answer in call]
    names = {service.name for service in listed.list_services_response.service}
    assert {NAME, "grpc.health.v1.Health"} <= names
    assert any(
        b"GenerateStream" in file
        for file in described.file_descriptor_response.file_descriptor_proto
    )


async def test_reflection_can_be_turned_off(open_door: Any) -> None:
    door = await open_door(grpc_reflection=False)
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    call = ServerReflectionStub(door.channel).ServerReflectionInfo(iter([question]))
    error = await refused(call.read())
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_that_is_too_large_is_refused_before_it_is_parsed(open_door: Any) -> None:
    door = await open_door(max_body_bytes=1000)
    call = door.channel.unary_unary("/nfig.v1.ImageGenerationService/Generate")
    error = await refused(call(b"\xff" * 1001))
    assert (code_of(error), field_of(error)) == ("body_too_large", "request")
    # Far larger, and the transport does not even read it.
    error = await refused(call(b"\xff" * 5000))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_calls_beyond_the_limit_are_refused_and_the_others_go_on(open_door: Any) -> None:
    door = await open_door(grpc_max_calls=2)
    door.queue.hang_after_band = 0
    held = [door.stub.GenerateStream(pb.GenerateStreamRequest(spec=CAT)) for _ in range(2)]
    for call in held:
        await call.read()
    error = await refused(door.stub.ListModels(pb.ListModelsRequest()))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    for call in held:
        assert (await call.read()).HasField("band")
        call.cancel()


async def test_a_method_that_is_none_is_unimplemented(door: Any) -> None:
    call = door.channel.unary_unary("/nfig.v1.ImageGenerationService/Paint")
    assert (await refused(call(b""))).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_port_that_is_taken_is_named(door: Any, open_door: Any) -> None:
    with pytest.raises(ValueError, match="NFIG_GRPC_PORT: cannot listen"):
        await open_door(grpc_port=door.door.port)


def certificate(folder: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there to make a certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "1", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


async def test_with_a_certificate_the_door_speaks_tls_and_nothing_else(
    open_door: Any, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path)
    door = await open_door(grpc_cert_file=str(cert), grpc_key_file=str(key))
    credentials = grpc.ssl_channel_credentials(cert.read_bytes())
    options = (("grpc.ssl_target_name_override", "localhost"),)
    async with grpc.aio.secure_channel(door.address, credentials, options) as channel:
        stub = ImageGenerationServiceStub(channel)
        assert (await stub.ListModels(pb.ListModelsRequest(), timeout=5)).models
    error = await refused(door.stub.ListModels(pb.ListModelsRequest(), timeout=5))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_that_cannot_be_read_is_named(open_door: Any, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.pem")
    with pytest.raises(ValueError, match=r"NFIG_GRPC_CERT_FILE: cannot read .*none\.pem"):
        await open_door(grpc_cert_file=missing, grpc_key_file=missing)


@pytest.mark.parametrize("alone", ["grpc_cert_file", "grpc_key_file"])
def test_a_certificate_and_its_key_go_together(alone: str) -> None:
    with pytest.raises(ValueError, match="NFIG_GRPC_CERT_FILE: set both or neither") as wrong:
        GatewaySettings(**{alone: "x.pem"})
    assert "grpc_key_file" in str(wrong.value)
