"""What a Triton says of itself, for whoever checks an installation. It is not proof that it draws:
see `triton_engine.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import InferenceServerException
from tritonclient.grpc.aio import InferenceServerClient

ANSWER_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A model of the repository that Triton was started with."""

    name: str
    version: str
    ready: bool
    reason: str
    """Why it is not ready, in Triton's words."""


@dataclass(frozen=True, kw_only=True)
class TritonFacts:
    version: str
    models: Sequence[LoadedModel]


async def inspect_triton(url: str) -> TritonFacts:
    """Asks the Triton at `url`, host:port of its gRPC. Raises ValueError that says why not."""
    client: Any = InferenceServerClient(url)
    try:
        server = await client.get_server_metadata(client_timeout=ANSWER_SECONDS)
        index = await client.get_model_repository_index(client_timeout=ANSWER_SECONDS)
    except InferenceServerException as error:
        raise ValueError(str(error.message())) from None
    finally:
        await client.close()
    models = [
        LoadedModel(
            name=model.name,
            version=model.version,
            ready=model.state == "READY",
            reason=model.reason,
        )
        for model in index.models
    ]
    return TritonFacts(version=server.version, models=models)
