import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_LOW: _ClassVar[Priority]
    PRIORITY_NORMAL: _ClassVar[Priority]
    PRIORITY_HIGH: _ClassVar[Priority]

class Brownout(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BROWNOUT_UNSPECIFIED: _ClassVar[Brownout]
    BROWNOUT_ALLOW: _ClassVar[Brownout]
    BROWNOUT_NEVER: _ClassVar[Brownout]

class PictureFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PICTURE_FORMAT_UNSPECIFIED: _ClassVar[PictureFormat]
    PICTURE_FORMAT_PNG: _ClassVar[PictureFormat]
    PICTURE_FORMAT_JPEG: _ClassVar[PictureFormat]
    PICTURE_FORMAT_WEBP: _ClassVar[PictureFormat]

class JobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    JOB_STATE_UNSPECIFIED: _ClassVar[JobState]
    JOB_STATE_QUEUED: _ClassVar[JobState]
    JOB_STATE_RUNNING: _ClassVar[JobState]
    JOB_STATE_COMPLETED: _ClassVar[JobState]
    JOB_STATE_FAILED: _ClassVar[JobState]
    JOB_STATE_CANCELLED: _ClassVar[JobState]

class EngineState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ENGINE_STATE_UNSPECIFIED: _ClassVar[EngineState]
    ENGINE_STATE_READY: _ClassVar[EngineState]
    ENGINE_STATE_NOT_READY: _ClassVar[EngineState]
    ENGINE_STATE_ABSENT: _ClassVar[EngineState]
PRIORITY_UNSPECIFIED: Priority
PRIORITY_LOW: Priority
PRIORITY_NORMAL: Priority
PRIORITY_HIGH: Priority
BROWNOUT_UNSPECIFIED: Brownout
BROWNOUT_ALLOW: Brownout
BROWNOUT_NEVER: Brownout
PICTURE_FORMAT_UNSPECIFIED: PictureFormat
PICTURE_FORMAT_PNG: PictureFormat
PICTURE_FORMAT_JPEG: PictureFormat
PICTURE_FORMAT_WEBP: PictureFormat
JOB_STATE_UNSPECIFIED: JobState
JOB_STATE_QUEUED: JobState
JOB_STATE_RUNNING: JobState
JOB_STATE_COMPLETED: JobState
JOB_STATE_FAILED: JobState
JOB_STATE_CANCELLED: JobState
ENGINE_STATE_UNSPECIFIED: EngineState
ENGINE_STATE_READY: EngineState
ENGINE_STATE_NOT_READY: EngineState
ENGINE_STATE_ABSENT: EngineState

class ImageSpec(_message.Message):
    __slots__ = ("class_label", "class_name", "model", "num_images", "seed", "guidance_scale", "top_k", "top_p", "temperature", "bands", "previews", "picture_format", "picture_quality", "deadline_ms", "start_within_ms", "brownout", "priority")
    CLASS_LABEL_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    NUM_IMAGES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    PREVIEWS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    PICTURE_QUALITY_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    START_WITHIN_MS_FIELD_NUMBER: _ClassVar[int]
    BROWNOUT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    class_label: int
    class_name: str
    model: str
    num_images: int
    seed: int
    guidance_scale: float
    top_k: int
    top_p: float
    temperature: float
    bands: int
    previews: int
    picture_format: PictureFormat
    picture_quality: int
    deadline_ms: int
    start_within_ms: int
    brownout: Brownout
    priority: Priority
    def __init__(self, class_label: _Optional[int] = ..., class_name: _Optional[str] = ..., model: _Optional[str] = ..., num_images: _Optional[int] = ..., seed: _Optional[int] = ..., guidance_scale: _Optional[float] = ..., top_k: _Optional[int] = ..., top_p: _Optional[float] = ..., temperature: _Optional[float] = ..., bands: _Optional[int] = ..., previews: _Optional[int] = ..., picture_format: _Optional[_Union[PictureFormat, str]] = ..., picture_quality: _Optional[int] = ..., deadline_ms: _Optional[int] = ..., start_within_ms: _Optional[int] = ..., brownout: _Optional[_Union[Brownout, str]] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class Picture(_message.Message):
    __slots__ = ("digest", "num_bytes", "format", "side", "content")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    NUM_BYTES_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    digest: str
    num_bytes: int
    format: PictureFormat
    side: int
    content: bytes
    def __init__(self, digest: _Optional[str] = ..., num_bytes: _Optional[int] = ..., format: _Optional[_Union[PictureFormat, str]] = ..., side: _Optional[int] = ..., content: _Optional[bytes] = ...) -> None: ...

class GenerateRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: ImageSpec
    def __init__(self, spec: _Optional[_Union[ImageSpec, _Mapping]] = ...) -> None: ...

class GenerateResponse(_message.Message):
    __slots__ = ("job", "images")
    JOB_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    job: AcceptedJob
    images: _containers.RepeatedCompositeFieldContainer[Image]
    def __init__(self, job: _Optional[_Union[AcceptedJob, _Mapping]] = ..., images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ...) -> None: ...

class GenerateStreamRequest(_message.Message):
    __slots__ = ("spec",)
    SPEC_FIELD_NUMBER: _ClassVar[int]
    spec: ImageSpec
    def __init__(self, spec: _Optional[_Union[ImageSpec, _Mapping]] = ...) -> None: ...

class GenerateStreamResponse(_message.Message):
    __slots__ = ("accepted", "band", "image", "elapsed_ms")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    accepted: AcceptedJob
    band: DrawnBand
    image: Image
    elapsed_ms: float
    def __init__(self, accepted: _Optional[_Union[AcceptedJob, _Mapping]] = ..., band: _Optional[_Union[DrawnBand, _Mapping]] = ..., image: _Optional[_Union[Image, _Mapping]] = ..., elapsed_ms: _Optional[float] = ...) -> None: ...

class AcceptedJob(_message.Message):
    __slots__ = ("id", "created_at", "model", "class_label", "seed", "bands")
    ID_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLASS_LABEL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    created_at: _timestamp_pb2.Timestamp
    model: str
    class_label: int
    seed: int
    bands: int
    def __init__(self, id: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., model: _Optional[str] = ..., class_label: _Optional[int] = ..., seed: _Optional[int] = ..., bands: _Optional[int] = ...) -> None: ...

class DrawnBand(_message.Message):
    __slots__ = ("image_index", "band", "seconds", "preview", "speedup")
    IMAGE_INDEX_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    SPEEDUP_FIELD_NUMBER: _ClassVar[int]
    image_index: int
    band: int
    seconds: float
    preview: Picture
    speedup: Speedup
    def __init__(self, image_index: _Optional[int] = ..., band: _Optional[int] = ..., seconds: _Optional[float] = ..., preview: _Optional[_Union[Picture, _Mapping]] = ..., speedup: _Optional[_Union[Speedup, _Mapping]] = ...) -> None: ...

class Speedup(_message.Message):
    __slots__ = ("as_published", "same_code")
    AS_PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    SAME_CODE_FIELD_NUMBER: _ClassVar[int]
    as_published: float
    same_code: float
    def __init__(self, as_published: _Optional[float] = ..., same_code: _Optional[float] = ...) -> None: ...

class Timing(_message.Message):
    __slots__ = ("queue", "batch_wait", "bands", "decode", "encode", "total")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    BATCH_WAIT_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    ENCODE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    queue: float
    batch_wait: float
    bands: float
    decode: float
    encode: float
    total: float
    def __init__(self, queue: _Optional[float] = ..., batch_wait: _Optional[float] = ..., bands: _Optional[float] = ..., decode: _Optional[float] = ..., encode: _Optional[float] = ..., total: _Optional[float] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("image_index", "bands_completed", "band_seconds", "picture", "shed", "timing")
    IMAGE_INDEX_FIELD_NUMBER: _ClassVar[int]
    BANDS_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    BAND_SECONDS_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    SHED_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    image_index: int
    bands_completed: int
    band_seconds: _containers.RepeatedScalarFieldContainer[float]
    picture: Picture
    shed: bool
    timing: Timing
    def __init__(self, image_index: _Optional[int] = ..., bands_completed: _Optional[int] = ..., band_seconds: _Optional[_Iterable[float]] = ..., picture: _Optional[_Union[Picture, _Mapping]] = ..., shed: _Optional[bool] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ...) -> None: ...

class CreateJobRequest(_message.Message):
    __slots__ = ("spec", "idempotency_key")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    spec: ImageSpec
    idempotency_key: str
    def __init__(self, spec: _Optional[_Union[ImageSpec, _Mapping]] = ..., idempotency_key: _Optional[str] = ...) -> None: ...

class CreateJobResponse(_message.Message):
    __slots__ = ("job", "replayed")
    JOB_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    job: Job
    replayed: bool
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., replayed: _Optional[bool] = ...) -> None: ...

class GetJobRequest(_message.Message):
    __slots__ = ("job_id", "with_content")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    WITH_CONTENT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    with_content: bool
    def __init__(self, job_id: _Optional[str] = ..., with_content: _Optional[bool] = ...) -> None: ...

class GetJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: Job
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ...) -> None: ...

class WatchJobRequest(_message.Message):
    __slots__ = ("job_id", "resume_after", "with_content")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    WITH_CONTENT_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    resume_after: str
    with_content: bool
    def __init__(self, job_id: _Optional[str] = ..., resume_after: _Optional[str] = ..., with_content: _Optional[bool] = ...) -> None: ...

class WatchJobResponse(_message.Message):
    __slots__ = ("id", "elapsed_ms", "queued", "started", "band", "image", "completed", "failed", "cancelled")
    ID_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_MS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    id: str
    elapsed_ms: float
    queued: JobQueued
    started: JobStarted
    band: BandCompleted
    image: ImageCompleted
    completed: JobCompleted
    failed: JobFailed
    cancelled: JobCancelled
    def __init__(self, id: _Optional[str] = ..., elapsed_ms: _Optional[float] = ..., queued: _Optional[_Union[JobQueued, _Mapping]] = ..., started: _Optional[_Union[JobStarted, _Mapping]] = ..., band: _Optional[_Union[BandCompleted, _Mapping]] = ..., image: _Optional[_Union[ImageCompleted, _Mapping]] = ..., completed: _Optional[_Union[JobCompleted, _Mapping]] = ..., failed: _Optional[_Union[JobFailed, _Mapping]] = ..., cancelled: _Optional[_Union[JobCancelled, _Mapping]] = ...) -> None: ...

class JobQueued(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class JobStarted(_message.Message):
    __slots__ = ("attempt",)
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    def __init__(self, attempt: _Optional[int] = ...) -> None: ...

class BandCompleted(_message.Message):
    __slots__ = ("image_index", "band", "token_digest", "seconds", "batch_size", "preview", "speedup")
    IMAGE_INDEX_FIELD_NUMBER: _ClassVar[int]
    BAND_FIELD_NUMBER: _ClassVar[int]
    TOKEN_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    PREVIEW_FIELD_NUMBER: _ClassVar[int]
    SPEEDUP_FIELD_NUMBER: _ClassVar[int]
    image_index: int
    band: int
    token_digest: str
    seconds: float
    batch_size: int
    preview: Picture
    speedup: Speedup
    def __init__(self, image_index: _Optional[int] = ..., band: _Optional[int] = ..., token_digest: _Optional[str] = ..., seconds: _Optional[float] = ..., batch_size: _Optional[int] = ..., preview: _Optional[_Union[Picture, _Mapping]] = ..., speedup: _Optional[_Union[Speedup, _Mapping]] = ...) -> None: ...

class ImageCompleted(_message.Message):
    __slots__ = ("image_index", "bands_completed", "picture", "shed", "timing")
    IMAGE_INDEX_FIELD_NUMBER: _ClassVar[int]
    BANDS_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    SHED_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    image_index: int
    bands_completed: int
    picture: Picture
    shed: bool
    timing: Timing
    def __init__(self, image_index: _Optional[int] = ..., bands_completed: _Optional[int] = ..., picture: _Optional[_Union[Picture, _Mapping]] = ..., shed: _Optional[bool] = ..., timing: _Optional[_Union[Timing, _Mapping]] = ...) -> None: ...

class JobCompleted(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class JobFailed(_message.Message):
    __slots__ = ("code", "message", "retryable")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    retryable: bool
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., retryable: _Optional[bool] = ...) -> None: ...

class JobCancelled(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Job(_message.Message):
    __slots__ = ("id", "state", "created_at", "position", "model", "class_label", "num_images", "seed", "bands", "images", "error", "estimated_start_ms", "estimated_end_ms", "deadline_ms", "start_within_ms", "keep_bands", "brownout", "priority")
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLASS_LABEL_FIELD_NUMBER: _ClassVar[int]
    NUM_IMAGES_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    BANDS_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_START_MS_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_END_MS_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MS_FIELD_NUMBER: _ClassVar[int]
    START_WITHIN_MS_FIELD_NUMBER: _ClassVar[int]
    KEEP_BANDS_FIELD_NUMBER: _ClassVar[int]
    BROWNOUT_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    id: str
    state: JobState
    created_at: _timestamp_pb2.Timestamp
    position: int
    model: str
    class_label: int
    num_images: int
    seed: int
    bands: int
    images: _containers.RepeatedCompositeFieldContainer[JobImage]
    error: JobFailed
    estimated_start_ms: float
    estimated_end_ms: float
    deadline_ms: int
    start_within_ms: int
    keep_bands: int
    brownout: Brownout
    priority: Priority
    def __init__(self, id: _Optional[str] = ..., state: _Optional[_Union[JobState, str]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., position: _Optional[int] = ..., model: _Optional[str] = ..., class_label: _Optional[int] = ..., num_images: _Optional[int] = ..., seed: _Optional[int] = ..., bands: _Optional[int] = ..., images: _Optional[_Iterable[_Union[JobImage, _Mapping]]] = ..., error: _Optional[_Union[JobFailed, _Mapping]] = ..., estimated_start_ms: _Optional[float] = ..., estimated_end_ms: _Optional[float] = ..., deadline_ms: _Optional[int] = ..., start_within_ms: _Optional[int] = ..., keep_bands: _Optional[int] = ..., brownout: _Optional[_Union[Brownout, str]] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class JobImage(_message.Message):
    __slots__ = ("image_index", "bands_completed", "picture", "shed")
    IMAGE_INDEX_FIELD_NUMBER: _ClassVar[int]
    BANDS_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    SHED_FIELD_NUMBER: _ClassVar[int]
    image_index: int
    bands_completed: int
    picture: Picture
    shed: bool
    def __init__(self, image_index: _Optional[int] = ..., bands_completed: _Optional[int] = ..., picture: _Optional[_Union[Picture, _Mapping]] = ..., shed: _Optional[bool] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("id", "digest", "engine", "image_size", "grid_sides", "class_names", "guidance_scale", "top_k", "top_p", "temperature")
    ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    GRID_SIDES_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAMES_FIELD_NUMBER: _ClassVar[int]
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    TOP_P_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    id: str
    digest: str
    engine: EngineState
    image_size: int
    grid_sides: _containers.RepeatedScalarFieldContainer[int]
    class_names: _containers.RepeatedScalarFieldContainer[str]
    guidance_scale: float
    top_k: int
    top_p: float
    temperature: float
    def __init__(self, id: _Optional[str] = ..., digest: _Optional[str] = ..., engine: _Optional[_Union[EngineState, str]] = ..., image_size: _Optional[int] = ..., grid_sides: _Optional[_Iterable[int]] = ..., class_names: _Optional[_Iterable[str]] = ..., guidance_scale: _Optional[float] = ..., top_k: _Optional[int] = ..., top_p: _Optional[float] = ..., temperature: _Optional[float] = ...) -> None: ...
