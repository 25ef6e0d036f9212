"""Secrets with keys: made once, never looked at, and nothing of them anywhere else."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from modelway.api.kinds import SECRET
from modelway.controller.feedback_keys import SPREAD, KeyMaker
from modelway.kube.errors import Conflict, Forbidden
from modelway.kube.store import Owner
from modelway.plan.types import KeySecret
from modelway.server.receipt_keys import read

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OWNER = Owner("ml", "fraud")
CHANCE = b"\x07" * 32


class Api:
    """An API server that takes Secrets, or does not."""

    def __init__(self, *errors) -> None:
        self.errors = list(errors)
        self.posted = []

    async def post(self, kind, body):
        assert kind == SECRET
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        self.posted.append(body)
        return body


def wanted(*, uid="u1", is_first=True):
    return KeySecret("fraud-feedback-a", marker_uid=uid, is_first=is_first)


def maker(api, now=lambda: NOW):
    return KeyMaker(api, now=now, chance=lambda size: CHANCE[:size])


async def test_a_key_is_made_once_and_belongs_to_its_marker():
    api = Api()
    keys = maker(api)
    for _ in range(3):
        await keys.make(OWNER, (wanted(),))
    (secret,) = api.posted
    assert secret["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "fraud-feedback-a", "uid": "u1"}
    ]
    assert (secret["immutable"], secret["type"], secret["metadata"]["namespace"]) == (True, "Opaque", "ml")


@pytest.mark.parametrize(("is_first", "after"), [(True, timedelta(0)), (False, SPREAD)])
async def test_the_server_reads_it_and_a_second_key_waits_until_all_pods_have_it(tmp_path, is_first, after):
    api = Api()
    await maker(api).make(OWNER, (wanted(is_first=is_first),))
    (tmp_path / "a").write_bytes(base64.b64decode(api.posted[0]["data"]["key"]))
    (key,) = read(tmp_path).by_mark.values()
    assert (key.secret, key.since) == (CHANCE, (NOW + after).timestamp())


async def test_one_that_is_there_stays_and_is_tried_again_after_a_minute():
    """It may have been about to be collected with an earlier marker."""
    api = Api(Conflict(409, "AlreadyExists", "exists"), Conflict(409, "AlreadyExists", "exists"))
    moment = [NOW]
    keys = maker(api, now=lambda: moment[0])
    for after, left, made in ((0, 1, 0), (30, 1, 0), (60, 0, 0), (120, 0, 1), (180, 0, 1)):
        moment[0] = NOW + timedelta(seconds=after)
        await keys.make(OWNER, (wanted(),))
        assert (len(api.errors), len(api.posted)) == (left, made)


async def test_one_that_somebody_has_deleted_is_made_again_after_a_while():
    api = Api()
    moment = [NOW]
    keys = maker(api, now=lambda: moment[0])
    for after in (timedelta(0), SPREAD / 2, SPREAD):
        moment[0] = NOW + after
        await keys.make(OWNER, (wanted(),))
    assert len(api.posted) == 2


async def test_another_marker_gets_another_key():
    api = Api()
    keys = maker(api)
    await keys.make(OWNER, (wanted(),))
    await keys.make(OWNER, ())
    await keys.make(OWNER, (wanted(uid="u2"),))
    assert [one["metadata"]["ownerReferences"][0]["uid"] for one in api.posted] == ["u1", "u2"]


async def test_a_refusal_is_logged_once_and_never_the_key():
    api = Api(Forbidden(403, "Forbidden", "secrets is forbidden"))
    keys = maker(api)
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            await keys.make(OWNER, (wanted(),))
        await keys.make(Owner("ml", "other"), (wanted(),))
    assert [line["event"] for line in logs] == ["feedback_key_refused", "feedback_key_made"]
    assert base64.b64encode(CHANCE).decode() not in str(logs)
