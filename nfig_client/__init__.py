"""The Python client of NFIG Serve: draws images, and shows them sharpen band by band.

client = Client("http://127.0.0.1:8000")
client.generate("cat", seed=7).images[0].save("cat.png")
for event in client.stream("cat", seed=7, previews=3):
    ...
"""

from nfig_client.async_client import AsyncClient
from nfig_client.backoff import Backoff
from nfig_client.client import Client
from nfig_client.errors import (
    ApiError,
    AuthenticationError,
    ConnectionLostError,
    IdempotencyConflictError,
    InvalidRequestError,
    JobCancelledError,
    JobFailedError,
    JobGoneError,
    NFIGError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    ServerError,
)
from nfig_client.events import (
    BandCompleted,
    Event,
    ImageCompleted,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobQueued,
    JobStarted,
    OtherEvent,
    TerminalEvent,
)
from nfig_client.options import GenerationOptions
from nfig_client.records import Generated, Image, Job, JobImage, Model, Picture

__all__ = [
    "ApiError",
    "AsyncClient",
    "AuthenticationError",
    "Backoff",
    "BandCompleted",
    "Client",
    "ConnectionLostError",
    "Event",
    "Generated",
    "GenerationOptions",
    "IdempotencyConflictError",
    "Image",
    "ImageCompleted",
    "InvalidRequestError",
    "Job",
    "JobCancelled",
    "JobCancelledError",
    "JobCompleted",
    "JobFailed",
    "JobFailedError",
    "JobGoneError",
    "JobImage",
    "JobQueued",
    "JobStarted",
    "Model",
    "NFIGError",
    "NotFoundError",
    "OtherEvent",
    "Picture",
    "ProtocolError",
    "RateLimitError",
    "ServerError",
    "TerminalEvent",
]
