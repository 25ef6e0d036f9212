"""Keys for prediction ids: made where labels are asked for, rotated in two places, mounted and nowhere else."""

from datetime import UTC, datetime, timedelta

import pytest

from modelway.api.kinds import CONFIG_MAP
from modelway.cli.types import Slices
from modelway.plan import ChildKey, Observed
from modelway.plan.feedback_keys import PERIOD, key_secrets, markers
from modelway.plan.pods import pod_template
from modelway.plan.revisions import resolved_spec, revision_hash
from modelway.server.receipt_keys import read
from support.builders import NAME, SETTINGS, parsed, spec

START = datetime(2026, 11, 22, tzinfo=UTC)
ASKED = {"quality": {"metric": "accuracy", "min": 0.9}}


class World:
    """A ModelDeployment that is looked at once a day; what the plan wants is there the moment after."""

    def __init__(self, monitoring=ASKED) -> None:
        self.given = spec(monitoring=monitoring)
        self.now = START
        self.children = {}
        self.made = 0
        self.keyless = False

    def look(self):
        observed = Observed(parsed(self.given), children=dict(self.children))
        wanted = markers(observed, self.now)
        secrets = key_secrets(observed, wanted, self.now, keyless=self.keyless)
        names = {child.key.name for child in wanted}
        self.children = {key: obj for key, obj in self.children.items() if key.name in names}
        for child in wanted:
            if child.key not in self.children:
                self.made += 1
                metadata = {"uid": f"uid-{self.made}", "creationTimestamp": self.now.isoformat()}
                self.children[child.key] = child.body | {"metadata": child.body["metadata"] | metadata}
        return secrets

    def days(self, number):
        for _ in range(number):
            self.look()
            self.now += timedelta(days=1)

    def slots(self):
        return {
            key.name.removeprefix(f"{NAME}-feedback-"): obj["metadata"]["uid"] for key, obj in self.children.items()
        }


def test_without_labels_there_is_no_key():
    for given in (None, {}, {"drift": {}}):
        world = World(given)
        assert world.look() == ()
        assert world.children == {}


def test_an_image_of_ones_own_has_no_key():
    world = World()
    world.given["serving"] = {"container": {"image": "a", "port": 80}}
    assert world.look() == ()
    assert world.children == {}


def test_the_first_key_is_made_when_its_marker_is_there_and_signs_at_once():
    world = World()
    assert world.look() == ()
    (secret,) = world.look()
    assert (secret.name, secret.marker_uid, secret.is_first) == (f"{NAME}-feedback-a", "uid-1", True)


def test_a_marker_holds_nothing_that_is_secret():
    world = World()
    world.look()
    (marker,) = world.children.values()
    assert marker["data"].keys() == {"about"}


def test_a_second_key_follows_after_a_period_and_does_not_sign_at_once():
    world = World()
    world.days(int(PERIOD / 86400))
    assert world.slots() == {"a": "uid-1"}
    assert world.look() == ()
    assert world.slots() == {"a": "uid-1", "b": "uid-2"}
    assert [(secret.name, secret.is_first) for secret in world.look()] == [(f"{NAME}-feedback-b", False)]


def test_what_is_not_new_is_taken_to_be_there_unless_a_pod_has_no_key():
    """So an operator that starts writes nothing; and a Secret that somebody has deleted is made again."""
    world = World()
    world.days(2)
    assert world.look() == ()
    world.keyless = True
    assert [secret.marker_uid for secret in world.look()] == ["uid-1"]


def test_a_key_goes_when_labels_for_what_it_signed_come_too_late():
    world = World()
    seen = []
    for _ in range(200):
        world.days(1)
        if world.slots() not in seen:
            seen.append(world.slots())
    assert seen == [
        {"a": "uid-1"},
        {"a": "uid-1", "b": "uid-2"},
        {"b": "uid-2"},
        {"b": "uid-2", "a": "uid-3"},
        {"a": "uid-3"},
        {"a": "uid-3", "b": "uid-4"},
        {"b": "uid-4"},
        {"b": "uid-4", "a": "uid-5"},
        {"a": "uid-5"},
        {"a": "uid-5", "b": "uid-6"},
        {"b": "uid-6"},
        {"b": "uid-6", "a": "uid-7"},
    ]


@pytest.mark.parametrize("window", ["10s", "1h", "12h", "24h"])
def test_every_id_is_known_for_as_long_as_labels_may_come(window):
    """Whenever a key signs, it is there for 256 windows more."""
    world = World({"quality": ASKED["quality"] | {"window": window}})
    hours = {"10s": 1, "1h": 1, "12h": 12, "24h": 24}[window]
    signed = {}
    for _ in range(1500):
        world.days(1)
        there = world.slots()
        youngest = max(there.values(), key=lambda uid: int(uid.removeprefix("uid-")))
        signed[youngest] = world.now
        for uid, last in signed.items():
            if uid not in there.values():
                assert world.now - last > timedelta(hours=256 * hours)


def test_a_key_that_somebody_deletes_with_its_marker_is_made_anew():
    world = World()
    world.days(2)
    world.children.clear()
    world.days(2)
    assert world.slots() == {"a": "uid-2"}


def test_nobody_asks_for_labels_any_more():
    world = World()
    world.days(2)
    world.given = spec()
    assert world.look() == ()
    assert world.children == {}


class TestPods:
    def template(self, **fields):
        return pod_template(NAME, "0b77d1ce", parsed(spec(**fields)).spec, SETTINGS)

    def test_the_server_is_told_where_its_keys_are_and_alone_has_them(self):
        pod = self.template(monitoring={"quality": ASKED["quality"] | {"window": "10m"}})["spec"]
        server, fetcher = pod["containers"][0], pod["initContainers"][0]
        assert "--feedback-keys=/etc/modelway/feedback" in server["args"]
        assert "--feedback-window=10m" in server["args"]
        assert {"name": "feedback", "mountPath": "/etc/modelway/feedback", "readOnly": True} in server["volumeMounts"]
        assert "feedback" not in {mount["name"] for mount in fetcher["volumeMounts"]}
        (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "feedback"]
        assert [one["secret"] for one in volume["projected"]["sources"]] == [
            {"name": f"{NAME}-feedback-{slot}", "items": [{"key": "key", "path": slot}], "optional": True}
            for slot in ("a", "b")
        ]

    def test_the_server_is_told_which_slices_to_count(self):
        slices = [{"name": "shop", "values": ["b", "a"]}, {"name": "country", "values": ["$(HOME)"]}]
        pod = self.template(monitoring={"quality": ASKED["quality"] | {"slices": slices}})["spec"]
        (told,) = (one for one in pod["containers"][0]["args"] if one.startswith("--feedback-slices="))
        assert "$" not in told
        read = Slices().convert(told.removeprefix("--feedback-slices="), None, None)
        assert read == {"country": ("$(HOME)",), "shop": ("a", "b")}

    def test_without_labels_pods_are_as_before(self):
        assert self.template() == self.template(monitoring={"window": "1m"})

    def test_who_asks_for_labels_has_another_revision_and_nobody_else(self):
        def name(**fields):
            return revision_hash(resolved_spec(parsed(spec(**fields)).spec))

        assert name() == name(monitoring={"window": "1m"})
        asked = name(monitoring=ASKED)
        assert asked != name()
        stricter = {"quality": {"metric": "auc", "min": 0.5, "minLabels": 100}}
        assert asked == name(monitoring=stricter)
        assert asked != name(monitoring={"quality": ASKED["quality"] | {"window": "2h"}})
        sliced = [
            name(monitoring={"quality": ASKED["quality"] | {"slices": [{"name": "country", "values": values}]}})
            for values in (["DE"], ["DE", "FR"], ["FR", "DE"])
        ]
        assert len({asked, *sliced}) == 3
        assert sliced[1] == sliced[2]


def test_the_markers_key_is_a_child_like_any_other():
    world = World()
    world.look()
    assert set(world.children) == {ChildKey(CONFIG_MAP, f"{NAME}-feedback-a")}


def test_what_the_operator_writes_is_what_the_server_reads(tmp_path):
    (tmp_path / "a").write_text("YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE= 2026-11-22T00:00:00Z\n")
    assert read(tmp_path).signing(START.timestamp()) is not None
