"""What a job may come to in bytes, before anything of it is there: never less than it will be.

Admission promises this much memory to each job that it lets in.
"""

from __future__ import annotations

from service.domain import GenerationRequest

JOB_BYTES = 4096
"""The hash, with the trace of its request, the queue entry and the first and last event, with
what Redis adds to each."""
EVENT_BYTES = 1024
"""An event with a preview's description has about 500."""
PICTURE_BYTES = 4096
"""Of a picture, beside its pixels: headers, and what an encoder adds to what it cannot compress."""
ATTEMPT_EVENTS = 16
"""`job.started` comes once per lease."""


def footprint(request: GenerationRequest, *, image_size: int) -> int:
    """Bytes that the job, its log, its pictures and its upload may come to together."""
    pixels = 3 * image_size**2
    pictures = len(request.previews) + 1
    # Noise as a JPEG of the highest quality is more than a third larger than its pixels.
    picture = pixels + pixels // 2 + PICTURE_BYTES
    events = request.bands + 1
    upload = 0 if request.keep_bands is None else pixels
    per_image = pictures * picture + events * EVENT_BYTES
    return JOB_BYTES + ATTEMPT_EVENTS * EVENT_BYTES + upload + request.num_images * per_image
