"""The gateway's doors: who is let in, and the files that it needs for that."""

from __future__ import annotations

import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

from service.admin.checks.findings import Finding, Part
from service.gateway.access.access import check_exposure
from service.gateway.access.keys import read_keys
from service.settings import GatewaySettings

PART = Part("gateway")


def check_door(settings: GatewaySettings) -> Iterator[Finding]:
    yield _exposure(settings)
    if settings.api_keys_file is not None:
        yield from _keys_file(Path(settings.api_keys_file))
    if settings.grpc_cert_file:
        yield _certificate(settings.grpc_cert_file, settings.grpc_key_file)
    if settings.cors_origins.strip() == "*":
        yield PART.warning("NFIG_CORS_ORIGINS: pages of every origin may call the API")


def _exposure(settings: GatewaySettings) -> Finding:
    try:
        text = check_exposure(settings)
    except ValueError as error:
        return PART.failure(str(error))
    return PART.warning(text) if settings.allow_anonymous else PART.passed(text)


def _keys_file(path: Path) -> Iterator[Finding]:
    name = "NFIG_API_KEYS_FILE"
    try:
        mode = path.stat().st_mode
        table = read_keys(path.read_text(encoding="utf-8"))
    except OSError as error:
        yield PART.failure(f"{name}: {path} cannot be read: {error.strerror}")
        return
    except ValueError as error:
        yield PART.failure(f"{name}: {path} {error}")
        return
    yield PART.passed(f"{name}: {path} has {len(table)} keys")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield PART.failure(f"{name}: others than its owner may write {path}: chmod go-w")
    elif mode & stat.S_IROTH:
        yield PART.warning(f"{name}: every user of this machine can read {path}: chmod o-r")
    else:
        yield PART.passed(f"{name}: only who should can read {path}")


def _certificate(chain: str, key: str) -> Finding:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(chain, key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or type(error).__name__
        return PART.failure(f"NFIG_GRPC_CERT_FILE and NFIG_GRPC_KEY_FILE: {reason}")
    return PART.passed(f"the key of {chain} fits it")
