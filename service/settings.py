"""Every setting of every process, read once at its start: from `NFIG_*` environment variables,
and from the file that one of them may name. `docs/settings.md` is written from here."""

from __future__ import annotations

import os
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.domain import Priority
from service.settings_file import read_file

PREFIX = "NFIG_"

BaselineMode = Literal["idle", "start", "off"]


class QueueSettings(BaseSettings):
    """Shared by gateway and worker."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", use_attribute_docstrings=True
    )

    settings_file: str | None = None
    """TOML file with more of these settings, by their names in lower case without `NFIG_`; what the
    environment says wins."""
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", repr=False)
    """`redis://`, `rediss://`, `unix://`, `redis+sentinel://` or `rediss+sentinel://` URL."""
    redis_username: str | None = None
    """Of Redis' access control list; the URL may say it too."""
    redis_password: SecretStr | None = None
    """Of Redis; the URL may say it too, but is more easily seen."""
    redis_sentinel_password: SecretStr | None = None
    """Of the sentinels, where it is asked for."""
    redis_ca_file: str | None = None
    """Certificates that may sign the server's, for TLS; the system's by default."""
    queue_name: str = "nfig"
    """Prefix of every key, so that several services can share one Redis."""
    max_queue_depth: int = Field(default=1000, ge=1)
    """Jobs waiting or running before requests are refused."""
    queue_memory_bytes: int = Field(default=0, ge=0)
    """What Redis holds and what accepted jobs may still come to, before requests are refused; 0
    leaves it to four fifths of Redis' own `maxmemory`."""
    lease_seconds: float = Field(default=15.0, gt=0)
    """A worker that is silent for this long loses its jobs."""
    brownout_extra_depth: int = Field(default=0, ge=0)
    """Jobs beyond the queue's depth that are let in if they accept fewer bands."""
    max_attempts: int = Field(default=3, ge=1)
    """Leases a job may have before it fails."""
    retention_seconds: float = Field(default=3600.0, gt=0)
    """How long results and event logs are kept."""
    tracing_endpoint: str | None = None
    """http(s) URL to which spans are sent with OTLP; unset: nothing is traced."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The first that knows a setting decides."""
        path = os.environ.get(f"{PREFIX}SETTINGS_FILE")
        values = read_file(path, known=setting_names()) if path else {}
        return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=values)


class WorkerSettings(QueueSettings):
    """The worker process."""

    engine: Literal["triton", "torch", "fake"] = "triton"
    """Who draws."""
    triton_url: str = "127.0.0.1:8001"
    """host:port of Triton's gRPC endpoint."""
    card: str = "model_repository/model.json"
    """Path of the model card that export wrote."""
    checkpoint: str = "checkpoints/avatars-64"
    """Checkpoint folder, for the torch engine."""
    baseline: BaselineMode = "idle"
    """When the engine measures what its speed is compared with: while nobody draws, before it is
    ready, or never; Triton reads it from its own environment."""
    max_generations: int = Field(default=32, ge=1)
    """Images drawn at once; fewer than fill the engine's batches leave it idle between them."""
    brownout_min_bands: int | None = Field(default=None, ge=1)
    """The fewest bands to which images are cut when demand exceeds capacity; unset: never."""
    brownout_target_seconds: float = Field(default=0.5, gt=0)
    """Bands are shed when jobs wait for longer than this."""
    grace_seconds: float = Field(default=10.0, ge=0)
    """How long running jobs may go on after SIGTERM before they are handed back."""
    worker_host: str = "127.0.0.1"
    """Where the worker's metrics are served."""
    worker_port: int = Field(default=9100, ge=0, le=65535)
    """Port of the worker's metrics; 0 turns them off."""


class GatewaySettings(QueueSettings):
    """The gateway process."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on."""
    internal_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of a second listener that has health and metrics, which the first then has not."""
    internal_host: str = "127.0.0.1"
    """Address of the second listener."""
    api_keys_file: str | None = None
    """TOML file of keys and tenants; without it, callers need no key."""
    allow_anonymous: bool = False
    """Without keys, other machines may reach the gateway all the same."""
    links_without_key: bool = True
    """Whoever knows a job's id may see its pictures and events without a key, as browsers must."""
    tenant_requests_per_minute: int = Field(default=0, ge=0, le=1_000_000)
    """Of each tenant of which the keys file does not say it; 0 is no limit."""
    tenant_jobs_in_flight: int = Field(default=0, ge=0)
    """Of each tenant of which the keys file does not say it; 0 is no limit."""
    tenant_max_priority: Priority = "high"
    """Of each tenant of which the keys file does not say it."""
    cors_origins: str = ""
    """Origins whose pages may call the API, separated by commas, or `*`; none by default."""
    max_body_bytes: int = Field(default=16_384, ge=1)
    """Larger request bodies are refused before they are parsed."""
    max_upload_bytes: int = Field(default=4_194_304, ge=1)
    """Larger image files are refused; with one, a body may be so much larger."""
    max_upload_pixels: int = Field(default=16_777_216, ge=1)
    """Images that declare more are refused before they are decoded."""
    max_images: int = Field(default=10, ge=1)
    """Images per request."""
    request_timeout_seconds: float = Field(default=300.0, gt=0)
    """A waiting request is answered by then, with an error if need be."""
    queue_timeout_seconds: float = Field(default=1.0, gt=0)
    """A queue that is silent for this long counts as down."""
    models_ttl_seconds: float = Field(default=1.0, ge=0)
    """How old the gateway's view of models and workers may be."""
    keepalive_seconds: float = Field(default=15.0, gt=0)
    """A stream that has been silent for this long gets a comment, so that proxies keep it open."""
    attendance_seconds: float = Field(default=10.0, gt=0)
    """Jobs whose callers wait at a gateway that is silent for this long end as cancelled."""
    engine_patience_seconds: float = Field(default=5.0, gt=0)
    """Callers who wait are refused once no worker has had an engine for so long."""
    shutdown_grace_seconds: int = Field(default=20, ge=0)
    """How long open requests may go on after SIGTERM."""
    grpc_port: int = Field(default=0, ge=0, le=65535)
    """Port of the gRPC door, on the same address; 0 keeps it shut."""
    grpc_max_calls: int = Field(default=1000, ge=1)
    """gRPC calls open at once; one more is refused."""
    grpc_reflection: bool = True
    """Whether clients may ask the gRPC door what it offers."""
    grpc_cert_file: str = ""
    """PEM file of the gRPC door's certificate chain; without it the door speaks plain text."""
    grpc_key_file: str = Field(default="", validate_default=True)
    """PEM file of the certificate's private key."""

    @field_validator("grpc_key_file")
    @classmethod
    def _of_the_certificate(cls, key_file: str, others: ValidationInfo) -> str:
        if bool(key_file) != bool(others.data.get("grpc_cert_file")):
            raise ValueError("goes with NFIG_GRPC_CERT_FILE: set both or neither")
        return key_file


SettingsKind = TypeVar("SettingsKind", bound=QueueSettings)


def setting_names() -> frozenset[str]:
    """Of all processes, which may share one environment and one file."""
    return frozenset(GatewaySettings.model_fields) | frozenset(WorkerSettings.model_fields)


def read_settings(kind: type[SettingsKind]) -> SettingsKind:
    """The process's settings. Ends it with a message that names each wrong one."""
    try:
        return load_settings(kind)
    except ValueError as error:
        raise SystemExit(str(error)) from None


def load_settings(kind: type[SettingsKind]) -> SettingsKind:
    """Raises ValueError with a line per wrong setting, which repeats no value."""
    try:
        return kind()
    except ValidationError as error:
        wrong = (
            f"{_named('_'.join(map(str, problem['loc'][:1])))}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )
        raise ValueError("\n".join(wrong)) from None


def _named(name: str) -> str:
    """As whoever set it knows it."""
    variable = f"{PREFIX}{name.upper()}"
    path = os.environ.get(f"{PREFIX}SETTINGS_FILE")
    in_file = path and variable not in os.environ and name in read_file(path, setting_names())
    return f"{name} in {path}" if in_file else variable
