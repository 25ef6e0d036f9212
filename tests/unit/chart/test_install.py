"""`make install`: which cluster, which images, which command."""

import pytest
from hack import install
from hack.local import LocalClusterError

DIGEST = f"sha256:{'b' * 64}"


@pytest.mark.parametrize(
    ("reference", "repository", "tag", "digest"),
    [
        ("modelway/operator:dev-1", "modelway/operator", "dev-1", ""),
        ("localhost:5000/m/operator:dev-1", "localhost:5000/m/operator", "dev-1", ""),
        ("localhost:5000/m/operator", "localhost:5000/m/operator", "", ""),
        (f"r.example/m/operator@{DIGEST}", "r.example/m/operator", "", DIGEST),
        (f"r.example/m/operator:v1@{DIGEST}", "r.example/m/operator", "v1", DIGEST),
    ],
)
def test_a_reference_is_taken_apart(reference, repository, tag, digest):
    assert install.image_values(reference) == {"registry": "", "repository": repository, "tag": tag, "digest": digest}


def test_the_chart_puts_a_reference_together_again(helm):
    reference = "localhost:5000/m/operator:dev-1"
    deployment = helm.one("Deployment", image=install.image_values(reference))
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == reference


def test_images_come_from_the_local_clusters_file_and_the_environment_wins(tmp_path):
    file = tmp_path / "images.env"
    file.write_text("# made by make images\nOPERATOR_IMAGE=a/operator:1\nSERVER_IMAGE=a/server:1\nOTHER=x\n")
    found = install.read_images({"SERVER_IMAGE": "b/server:2"}, file)
    assert found == {"OPERATOR_IMAGE": "a/operator:1", "SERVER_IMAGE": "b/server:2"}


def test_without_the_file_the_images_are_the_charts(tmp_path):
    assert install.read_images({}, tmp_path / "images.env") == {}


def test_kubeconfig_is_the_users_then_the_local_clusters_then_kubectls_own(tmp_path):
    local, home = tmp_path / "local", tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    (home / ".kube" / "config").touch()
    environment = {"HOME": str(home)}
    assert install.kubeconfig(environment, local=local) == str(home / ".kube" / "config")
    local.touch()
    assert install.kubeconfig(environment, local=local) == str(local)
    assert install.kubeconfig(environment | {"KUBECONFIG": "/theirs"}, local=local) == "/theirs"


def test_without_a_cluster_it_says_what_to_do(tmp_path):
    with pytest.raises(LocalClusterError, match="make cluster"):
        install.kubeconfig({"HOME": str(tmp_path)}, local=tmp_path / "none")


def test_the_command_waits_takes_over_and_passes_on_what_the_user_adds():
    command = install.install_command("helm", {"SERVER_IMAGE": "a/server:1"}, ["--set", "workers=2"], major=4)
    assert command[:5] == ["helm", "upgrade", "--install", "modelway", str(install.CHART)]
    assert {"--wait", "--create-namespace", "--take-ownership", "--force-conflicts"} <= {*command}
    assert "--set-string=serverImage.repository=a/server" in command
    assert not any("=image." in part for part in command)
    assert command[-2:] == ["--set", "workers=2"]


def test_helm_3_is_not_told_what_it_does_not_know():
    assert "--force-conflicts" not in install.install_command("helm", {}, major=3)
