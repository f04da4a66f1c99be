"""`python -m benchmarks.bare_app PORT FILE`: the least that FastAPI does for the same bytes.

It answers what the file holds, with the same headers: a body for `POST /v1/jobs`, once it has
checked the request's own against the same model, and the events of one stream for
`GET /v1/jobs/{id}/events`, one after another at the pace that they had.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse

from service.gateway.rest.job_schemas import JobBody


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the gateway answered to the same requests."""

    headers: dict[str, str]
    body: str
    stream_headers: dict[str, str]
    events: list[str]
    gap_seconds: float

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def create_bare_app(answers: Answers) -> FastAPI:
    app = FastAPI()
    content = answers.body.encode()
    events = [event.encode() for event in answers.events]

    @app.post("/v1/jobs")
    async def create(body: JobBody) -> Response:
        return Response(content, 202, answers.headers)

    @app.get("/v1/jobs/{job_id}/events")
    async def watch(job_id: str) -> StreamingResponse:
        return StreamingResponse(paced(), headers=answers.stream_headers)

    async def paced() -> AsyncGenerator[bytes]:
        for event in events:
            yield event
            await asyncio.sleep(answers.gap_seconds)

    return app


if __name__ == "__main__":
    loaded = Answers(**json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
    # As the gateway: no line in the log per request.
    uvicorn.run(
        create_bare_app(loaded),
        port=int(sys.argv[1]),
        log_config=None,
        access_log=False,
        server_header=False,
    )
