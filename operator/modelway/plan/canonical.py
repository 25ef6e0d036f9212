"""Canonical forms of plain data: the same meaning gives the same bytes. Pure."""

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson
from pydantic import BaseModel


def digest_of(value: Any) -> str:
    """SHA-256 of `value`'s canonical JSON (sorted keys, no spaces), in hexadecimal."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def without_empty(value: Any) -> Any:
    """`value` without empty mappings and lists inside mappings: absent and empty mean the same to Kubernetes."""
    if isinstance(value, dict):
        cleaned = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in cleaned.items() if inner not in ({}, [])}
    if isinstance(value, list):
        return [without_empty(inner) for inner in value]
    return value


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value; server-side apply owns a field that is named, even an empty one."""
    return {name: value for name, value in fields.items() if value is not None}


def dumped(models: Iterable[BaseModel]) -> list[dict[str, Any]] | None:
    """Parts of the resource as JSON, without what is not given; None where there are none."""
    return [model.model_dump(mode="json", by_alias=True, exclude_none=True) for model in models] or None
