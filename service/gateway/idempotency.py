"""Idempotency keys: what counts as the same request."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict

from service.errors import InvalidRequest
from service.gateway.drafts import Draft
from service.jobs.queue import IdempotencyKey

_KEY = re.compile(r"[!-~]{1,255}")


def idempotency_key(key: str, draft: Draft) -> IdempotencyKey:
    """The key with the fingerprint of what its caller said. Raises InvalidRequest.

    The fingerprint is the SHA-256 of the draft, fields sorted, and not of the completed request:
    a seed that was not said is absent from it, whatever was drawn, and a default that a new model
    card brings does not turn an honest repetition into a conflict. A field that is null is the
    same as one that is absent, and 2 the same as 2.0; a class by name and the same class by id are
    two requests.
    """
    if not _KEY.fullmatch(key):
        text = "idempotency-key must be 1 to 255 visible ASCII characters"
        raise InvalidRequest(text, field="idempotency-key")
    fields = asdict(draft)
    del fields["names"]  # what the front door calls a field is not what was said in it
    said = {name: value for name, value in fields.items() if value is not None}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return IdempotencyKey(key=key, fingerprint=hashlib.sha256(text.encode()).hexdigest())
