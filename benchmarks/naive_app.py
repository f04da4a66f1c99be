"""`python -m benchmarks.naive_app PORT`: what people write first.

FastAPI, one process, the model behind a lock; no queue, no batches, nothing that outlives it.
"""

from __future__ import annotations

import base64
import sys
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.engine_alone import EngineAlone
from service.images import encode_picture


class Body(BaseModel):
    prompt: str
    seed: int


def create_naive_app(engine: EngineAlone) -> FastAPI:
    app = FastAPI()
    lock = threading.Lock()

    @app.post("/v1/images/generations")
    def generate(body: Body) -> dict[str, Any]:
        with lock:
            (pixels,) = engine.draw(int(body.prompt), [body.seed])
        _, content = encode_picture(pixels, picture_format="png", quality=100)
        return {"data": [{"b64_json": base64.b64encode(content).decode()}]}

    return app


if __name__ == "__main__":
    # As the gateway: no line in the log per request.
    uvicorn.run(
        create_naive_app(EngineAlone.load()),
        port=int(sys.argv[1]),
        log_config=None,
        access_log=False,
    )
