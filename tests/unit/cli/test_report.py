"""`modelway report`: what is asked of the cluster, and what is said where it does not answer."""

import copy
import json
import stat
import subprocess
import sys

import pytest
from click.testing import CliRunner

from modelway.api.names import LABEL_REVISION, observer_selector
from modelway.api.observations import INPUTS, PATH, REFERENCE
from modelway.cli import main
from modelway.cli.errors import CommandError, Forbidden, KubectlError, NotFound
from modelway.cli.report_gather import gather
from modelway.plan.monitoring.keeping import content_of
from support.batch_jobs import entry
from support.reported import NOW, SPEC, Model, Seen, documents, live, shown
from support.rollouts import CANDIDATE, STABLE, resource

FOREIGN = {"model": SPEC["model"], "serving": {"container": {"image": "triton", "port": 8000}}}
OBSERVED = FOREIGN | {"monitoring": {"observe": {}}}
KUBECTL = """#!{python}
import json, pathlib, sys
answers = json.loads((pathlib.Path(__file__).parent / "answers").read_text())
found = [answer for asked, answer in answers if " ".join(sys.argv[1:]).startswith(asked)]
answer = found[0] if found else "Error from server (NotFound): there is none"
if isinstance(answer, str):
    sys.exit(answer)
print(json.dumps(answer))
"""


class Answering:
    """A cluster with one model, whose parts may be refused; the spec may ask for another revision than the one that
    serves.
    """

    def __init__(self, model, *, obj=None, serves=None) -> None:
        self.obj = copy.deepcopy(obj or model.object())
        self.obj["metadata"]["uid"] = "uid-of-fraud"
        self.watch = content_of(model.watch)
        self.records = [record(STABLE, serves or self.obj["spec"])]
        self.live = [live(server) for server in model.servers]
        self.documents = {server.pod.pod.name: documents(server, model.usual) for server in model.servers}
        self.refuses = {}
        self.asked_at = []

    def get(self, name):
        assert name == "fraud"
        return self.answer("get", self.obj)

    def config_map(self, name):
        assert name == "fraud-monitoring"
        return self.answer("config_map", {"data": {"watch": self.watch}})

    def revisions(self, name):
        assert name == "fraud"
        return self.answer("revisions", self.records)

    def pods(self, selector):
        labelled = [pod for pod in self.live if selector.items() <= pod["metadata"]["labels"].items()]
        return self.answer("pods", labelled)

    def asked(self, pod, path):
        name = pod["metadata"]["name"]
        self.asked_at.append((name, path))
        return json.dumps(self.answer(name, self.documents[name][path])).encode()

    def answer(self, what, found):
        if what in self.refuses:
            raise self.refuses[what]
        return found


def record(revision, spec):
    """The ControllerRevision of a revision that this spec has asked for."""
    data = {"spec": {part: spec[part] for part in ("model", "serving") if part in spec}}
    return {"metadata": {"name": f"fraud-{revision}", "labels": {LABEL_REVISION: revision}}, "data": data}


@pytest.fixture
def model():
    model = Model()
    model.window(times=2)
    return model


@pytest.fixture
def cluster(model):
    return Answering(model)


def gathered(cluster):
    return gather(cluster, "fraud", at=NOW, made_by="0.1.0")


def test_all_that_can_be_known_is_in_the_page(model, cluster):
    facts = gathered(cluster)
    assert (facts.pods, facts.missing) == (2, ())
    assert [one.rows for one in facts.readings] == [one.rows for one in model.servers]
    assert content_of(facts.watch) == content_of(model.watch)
    assert shown(facts).row("inputs", "age")[1] == "as usual"


def test_what_counts_mean_is_asked_of_one_pod_alone(cluster):
    gathered(cluster)
    assert sorted(path for _, path in cluster.asked_at) == sorted([PATH, PATH, INPUTS, INPUTS, REFERENCE])


@pytest.mark.parametrize(
    ("what", "error", "told"),
    [
        ("config_map", Forbidden('configmaps is forbidden: User "jo"'), 'configmaps is forbidden: User "jo"'),
        ("config_map", NotFound("none"), "the first window is not over"),
        ("revisions", Forbidden("controllerrevisions is forbidden"), "controllerrevisions is forbidden"),
        ("pods", Forbidden("pods is forbidden"), "pods is forbidden"),
        ("fraud-0", KubectlError("no route to host"), "Pod fraud-0 could not be read: no route to host"),
    ],
    ids=[
        "no rights on ConfigMaps",
        "no ConfigMap",
        "no rights on records",
        "no rights on pods",
        "a pod that does not answer",
    ],
)
def test_what_cannot_be_read_is_told_in_the_page(cluster, what, error, told):
    cluster.refuses[what] = error
    assert told in shown(gathered(cluster)).sections["now"]


def test_of_many_pods_that_do_not_answer_the_first_are_told(model, cluster):
    cluster.live = [live(model.servers[0]) for _ in range(6)]
    cluster.refuses["fraud-0"] = KubectlError("no")
    assert gathered(cluster).missing[-1] == "3 more pods could not be read."


def test_of_very_many_pods_some_are_read(model, cluster):
    cluster.live = [live(model.servers[0]) for _ in range(40)]
    facts = gathered(cluster)
    assert (facts.pods, len(facts.readings), facts.missing) == (40, 16, ("Of 40 pods 16 were read.",))


@pytest.mark.parametrize(
    ("path", "wrong", "told"),
    [
        (PATH, {"format": 2}, "it counts in format 2"),
        (INPUTS, {"revision": "other"}, "revision other answered"),
        (INPUTS, {"features": [[1]]}, "not as many numbers as its layout"),
        (PATH, {"answers": {"value:many": 1}}, "value:many: there are buckets"),
        (INPUTS, {"layout": "another"}, "it began anew while it was read"),
        (INPUTS, {"epoch": "another"}, "it began anew while it was read"),
        (REFERENCE, {"features": [{}]}, "cannot be read"),
    ],
    ids=[
        "of another format",
        "of another revision",
        "of other cells",
        "of unknown answers",
        "of another layout",
        "of another process",
        "no reference",
    ],
)
def test_what_a_pod_answers_is_not_believed_unseen(cluster, path, wrong, told):
    cluster.documents["fraud-0"][path] |= wrong
    cluster.live = cluster.live[:1]
    facts = gathered(cluster)
    assert (facts.readings, told in facts.missing[0]) == ((), True)


def test_of_a_model_that_only_scores_no_window_is_waited_for(model):
    spec = {"model": SPEC["model"], "batchJobs": [entry()], "monitoring": {"features": "Hide"}}
    cluster = Answering(model, obj=resource(spec=spec))
    cluster.refuses["config_map"] = NotFound("none")
    assert not any("first window" in one for one in gathered(cluster).missing)


def test_a_damaged_config_map_is_told(cluster):
    cluster.watch = "{"
    assert "is of another version of modelway, or damaged" in gathered(cluster).missing[0]


def test_pods_that_are_not_ready_or_are_ending_are_not_asked(model, cluster):
    cluster.live[0]["status"]["conditions"][0]["status"] = "False"
    cluster.live[1]["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z"
    assert "No pod of the revision that serves is ready" in gathered(cluster).missing[0]
    assert cluster.asked_at == []


def test_an_image_of_ones_own_is_not_asked(model):
    cluster = Answering(model, obj=resource(spec=FOREIGN))
    assert "an image of your own" in gathered(cluster).missing[0]
    assert cluster.asked_at == []


def test_an_image_of_ones_own_that_is_observed_is_told_by_its_observer(model):
    cluster = Answering(model, obj=resource(spec=OBSERVED))
    assert "No pod that observes the revision that serves is ready" in gathered(cluster).missing[0]
    observer = cluster.live[0]["metadata"]
    observer["labels"] = observer_selector("fraud", observer["labels"][LABEL_REVISION])
    facts = gathered(cluster)
    assert facts.missing == ()
    assert [one.of.pod.name for one in facts.readings] == [observer["name"]]


def test_the_server_is_asked_while_the_spec_asks_for_an_image_of_ones_own(model):
    cluster = Answering(model, obj=resource(spec=OBSERVED), serves=SPEC)
    cluster.records.insert(0, record(CANDIDATE, OBSERVED))
    facts = gathered(cluster)
    assert (len(facts.readings), facts.missing) == (2, ())


def test_an_image_of_ones_own_is_not_asked_while_the_spec_asks_for_the_server(model):
    cluster = Answering(model, obj=resource(spec=SPEC), serves=FOREIGN)
    assert "an image of your own" in gathered(cluster).missing[0]
    assert cluster.asked_at == []


def test_before_any_revision_serves_there_is_a_page(model):
    facts = gathered(Answering(model, obj=resource(spec=SPEC, stable=None)))
    assert facts.missing == ("No revision serves: there are no inputs and answers to count.",)


def test_a_resource_of_another_version_is_refused_with_the_place(cluster):
    cluster.obj["spec"]["serving"]["replicas"] = "many"
    with pytest.raises(CommandError, match=r"another version of modelway.*serving\.replicas"):
        gathered(cluster)


@pytest.fixture
def kubectl(tmp_path, monkeypatch, model):
    """A kubectl in PATH that answers as the cluster does, through its own command line."""
    cluster = Answering(model)
    script = tmp_path / "kubectl"
    script.write_text(KUBECTL.format(python=sys.executable))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    answers = [
        ("get modeldeployments.modelway.dev fraud", cluster.obj),
        ("get configmaps fraud-monitoring", cluster.config_map("fraud-monitoring")),
        ("get controllerrevisions.apps", {"items": cluster.records}),
        ("get pods", {"items": cluster.live[:1]}),
    ]
    way = "get --raw=/api/v1/namespaces/ml/pods/fraud-0:8080/proxy"
    asked = sorted(cluster.documents["fraud-0"].items(), reverse=True)
    answers += [(f"{way}{path}", document) for path, document in asked]
    (tmp_path / "answers").write_text(json.dumps(answers))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["report", *arguments])


def test_a_page_is_written_and_its_place_told(kubectl):
    ended = run("fraud", "-n", "ml")
    assert (ended.exit_code, ended.output.startswith("written: fraud-report.html (")) == (0, True)
    page = Seen((kubectl / "fraud-report.html").read_text(encoding="utf-8"))
    assert page.row("inputs", "age")[1] == "as usual"


def test_a_page_goes_to_standard_output(kubectl):
    ended = run("fraud", "-o", "-")
    assert ended.output.startswith("<!doctype html>")
    assert not list(kubectl.glob("*.html"))


def test_a_page_is_opened_where_that_is_asked(kubectl, monkeypatch):
    opened = []
    monkeypatch.setattr("click.launch", lambda url: opened.append(url) or 0)
    assert run("fraud", "-o", "page.html", "--open").exit_code == 0
    assert opened == ["page.html"]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["other"], 2, "NotFound"),
        (["fraud", "-o", "nowhere/page.html"], 2, "nowhere/page.html: cannot be written: No such file or directory"),
        (["fraud", "-o", "-", "--open"], 2, "--open needs a file"),
    ],
    ids=["no such model", "no such folder", "nothing to open"],
)
def test_what_cannot_be_done_is_told_in_a_sentence(kubectl, arguments, code, told):
    ended = run(*arguments)
    assert (ended.exit_code, told in ended.output) == (code, True)
    assert "Traceback" not in ended.output


def test_without_kubectl_it_is_told_that_it_is_needed(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    ended = run("fraud")
    assert (ended.exit_code, "kubectl is not in PATH" in ended.output) == (2, True)


def test_without_the_extra_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for name in [name for name in sys.modules if name.startswith("modelway.report.html")]:
        monkeypatch.delitem(sys.modules, name)
    ended = run("fraud")
    assert (ended.exit_code, "pip install 'modelway[report]'" in ended.output) == (1, True)


def test_other_commands_do_not_load_what_reports_need():
    script = "import modelway.cli.main, sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert not set(done.stdout.split()) & {"jinja2", "numpy", "pydantic", "modelway.report"}
