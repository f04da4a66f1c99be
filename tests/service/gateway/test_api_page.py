"""`docs/api.md` keeps up with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from nfig_proto.v1.image_generation_pb2 import ImageSpec
from service.errors import CATALOGUE
from service.gateway.rest.job_schemas import JobBody
from service.gateway.rest.schemas import ImageGenerationBody, ImageVariationForm

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


def test_the_page_lists_exactly_the_catalogue() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| `(\w+)` \| (yes|no) \| (.+) \|$", PAGE, re.M)
    assert rows == [
        (
            entry.code,
            str(entry.http_status),
            entry.grpc_status,
            "yes" if entry.retryable else "no",
            entry.title,
        )
        for entry in CATALOGUE.values()
    ]


@pytest.mark.parametrize(
    ("heading", "body"), [("Fields", ImageGenerationBody), ("Fields of a job", JobBody)]
)
def test_the_page_lists_exactly_the_fields(heading: str, body: type[BaseModel]) -> None:
    table = PAGE.split(f"### {heading}\n")[1].split("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.M)
    assert sorted(rows) == sorted(body.model_fields)


def test_the_page_lists_exactly_the_fields_of_a_spec() -> None:
    table = PAGE.split("### Fields of a spec\n")[1].split("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.M)
    assert rows == [field.name for field in ImageSpec.DESCRIPTOR.fields]


def test_the_page_lists_the_fields_that_only_variations_have() -> None:
    table = PAGE.split("### Fields of a variation\n")[1].split("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \|", table, re.M)
    own = set(ImageVariationForm.model_fields) - set(ImageGenerationBody.model_fields)
    assert sorted(rows) == sorted({"image", "class_label"} | own)
