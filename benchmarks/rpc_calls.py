"""Watching over gRPC: as little work as possible while it goes on, as with `http_calls`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import grpc

from nfig_proto.v1.image_generation_pb2 import WatchJobRequest, WatchJobResponse

METHOD = "/nfig.v1.ImageGenerationService/WatchJob"


@dataclass
class RpcWatcher:
    """One call of WatchJob, whose messages are only read after the end."""

    ended: asyncio.Future[None]
    began: asyncio.Future[None]
    """Done with the first message."""
    messages: list[tuple[float, bytes]] = field(default_factory=list)

    @classmethod
    def open(cls, channel: grpc.aio.Channel, job_id: str) -> RpcWatcher:
        loop = asyncio.get_running_loop()
        watcher = cls(loop.create_future(), loop.create_future())
        watcher.ended = loop.create_task(watcher._read(channel, job_id))
        return watcher

    def bands(self) -> list[tuple[int, float]]:
        """Bands in the order in which they came, and when, on the clock of `time.perf_counter`."""
        read = [(at, WatchJobResponse.FromString(content)) for at, content in self.messages]
        return [(message.band.band, at) for at, message in read if message.HasField("band")]

    async def _read(self, channel: grpc.aio.Channel, job_id: str) -> None:
        # Without a deserializer messages stay the bytes that they were.
        watch = channel.unary_stream(METHOD, request_serializer=WatchJobRequest.SerializeToString)
        try:
            async for content in watch(WatchJobRequest(job_id=job_id)):
                self.messages.append((time.perf_counter(), content))
                if not self.began.done():
                    self.began.set_result(None)
        finally:
            if not self.began.done():
                self.began.set_result(None)
