"""`python -m benchmarks.bare_app PORT FILE`: the least that FastAPI does for the same bytes.

It answers what the file holds: a body for `POST /v1/jobs`, and the events of one stream for
`GET /v1/jobs/{id}/events`, one after another at the pace that they had.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the gateway answered to the same requests."""

    body: str
    events: list[str]
    gap_seconds: float

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.__dict__), encoding="utf-8")


def create_bare_app(answers: Answers) -> FastAPI:
    app = FastAPI()
    body = answers.body.encode()
    events = [event.encode() for event in answers.events]

    @app.post("/v1/jobs", status_code=202)
    async def create(request: Request) -> Response:
        await request.body()
        return Response(body, 202, media_type="application/json")

    @app.get("/v1/jobs/{job_id}/events")
    async def watch(job_id: str) -> StreamingResponse:
        return StreamingResponse(paced(), media_type="text/event-stream")

    async def paced() -> AsyncGenerator[bytes]:
        for event in events:
            yield event
            await asyncio.sleep(answers.gap_seconds)

    return app


if __name__ == "__main__":
    loaded = Answers(**json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    # As the gateway: no line in the log per request.
    uvicorn.run(create_bare_app(loaded), port=int(sys.argv[1]), log_config=None, access_log=False)
