"""Events that the API server takes, however long their words."""

from modelway.api.kinds import EVENT
from support.builders import ended, fetching, words
from support.cluster import BY_HAND, spec_of


def test_a_long_message_is_told_as_well(namespace, operator):
    deployed = namespace.deploy(spec_of(serving__replicas=1, serving__podTemplate=BY_HAND))
    namespace.wait_for(deployed.pods, what="there is a pod")
    (pod,) = deployed.pods()
    deployed.say(pod, fetching(ended(1, message=words(reason="DownloadFailed", message="ünlesbar " * 300))))
    assert len(deployed.wait_for_failure("DownloadFailed")["message"]) == 2000

    def told():
        return [event for event in namespace.find(EVENT) if event["reason"] == "DownloadFailed"]

    (event,) = namespace.wait_for(told, what="an Event tells it")
    assert event["type"] == "Warning"
    assert event["note"].endswith("…")
