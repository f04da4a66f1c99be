"""A process logs one JSON object a line, whichever way a module logs."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from service.logs import configure_logs
configure_logs(process="worker")
logging.getLogger("service.jobs").warning("job %s is slow", "7")
with structlog.contextvars.bound_contextvars(job_id="7"):
    structlog.get_logger("service.worker").info("drawn", band=3)
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("service.worker").exception("it broke")
logging.getLogger("service.worker").debug("nobody wants this")
"""


def test_every_line_is_an_object_that_names_process_level_and_time() -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout == ""
    slow, drawn, broke = [json.loads(line) for line in ended.stderr.splitlines()]
    assert slow["event"] == "job 7 is slow"
    assert (slow["level"], slow["logger"]) == ("warning", "service.jobs")
    assert (drawn["event"], drawn["band"], drawn["job_id"]) == ("drawn", 3, "7")
    assert "ZeroDivisionError" in broke["exception"]
    for line in (slow, drawn, broke):
        assert line["process"] == "worker"
        assert line["timestamp"].endswith("Z")
