"""The gRPC door of a gateway: opened, drained, shut. One per process, on its event loop."""

from __future__ import annotations

from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from nfig_proto.v1 import image_generation_pb2_grpc
from service.gateway.rpc.calls import SERVICE, CallInterceptor
from service.gateway.rpc.health import Health
from service.gateway.rpc.service import ImageGenerationService
from service.gateway.services import Services
from service.settings import GatewaySettings

FAR_TOO_LARGE = 4
"""A message of so many times the limit is refused by the transport, in its own words."""
KEEPALIVE_TIMEOUT_SECONDS = 10.0
FASTEST_PING_SECONDS = 5.0
"""Clients that ping more often than this are shown the door."""
_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class RpcDoor:
    """Answers from `open` until `close`; `port` is known in between."""

    def __init__(self, services: Services) -> None:
        self._settings = services.settings
        self._generation = services.generation
        self._health = Health(services, names=frozenset({SERVICE}))
        self._server = _server(services, self._health)
        self.port = 0

    async def open(self) -> None:
        """Raises ValueError that names the setting at fault."""
        address = _address(self._settings)
        credentials = _credentials(self._settings)
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            raise ValueError(f"NFIG_GRPC_PORT: cannot listen on {address}") from None
        await self._server.start()

    async def close(self) -> None:
        """What is open may go on for the grace; what is then cut off is cancelled in order.
        Safe to call twice."""
        self._health.drain()
        await self._server.stop(self._settings.shutdown_grace_seconds)
        await self._generation.close()


def _server(services: Services, health: Health) -> grpc.aio.Server:
    settings = services.settings
    server = grpc.aio.server(
        interceptors=[CallInterceptor(access=services.access, max_bytes=settings.max_body_bytes)],
        maximum_concurrent_rpcs=settings.grpc_max_calls,
        options=_options(settings),
    )
    image_generation_pb2_grpc.add_ImageGenerationServiceServicer_to_server(
        ImageGenerationService(services), server
    )
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    if settings.grpc_reflection:
        names = (SERVICE, _HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    return server


def _options(settings: GatewaySettings) -> list[tuple[str, int]]:
    return [
        # Without it a second gateway would share the port in silence.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", FAR_TOO_LARGE * settings.max_body_bytes),
        ("grpc.keepalive_time_ms", _milliseconds(settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _milliseconds(KEEPALIVE_TIMEOUT_SECONDS)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _milliseconds(FASTEST_PING_SECONDS)),
    ]


def _address(settings: GatewaySettings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.grpc_port}"


def _credentials(settings: GatewaySettings) -> grpc.ServerCredentials | None:
    if not settings.grpc_cert_file:
        return None
    chain = _content("NFIG_GRPC_CERT_FILE", settings.grpc_cert_file)
    key = _content("NFIG_GRPC_KEY_FILE", settings.grpc_key_file)
    return grpc.ssl_server_credentials([(key, chain)])


def _content(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{name}: cannot read {path}: {error.strerror}") from None


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
