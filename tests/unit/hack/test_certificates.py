"""Identities: made once, kept, and good for what they are for."""

import csv
import stat
import subprocess

import pytest
import yaml
from hack.local.certificates import Authority, Certificate, Tokens, kubeconfig, token_file


@pytest.fixture
def pki(tmp_path):
    authority = Authority(tmp_path / "pki")
    authority.make_root("ca")
    return authority


def text_of(path):
    done = subprocess.run(
        ["openssl", "x509", "-in", path, "-noout", "-text"], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_a_server_certificate_names_its_hosts_and_is_signed_by_the_authority(pki):
    pki.make(Certificate("apiserver", "kube-apiserver", names=["localhost"], addresses=["127.0.0.1", "10.96.0.1"]))
    text = text_of(pki.certificate("apiserver"))
    assert "DNS:localhost, IP Address:127.0.0.1, IP Address:10.96.0.1" in text
    assert "TLS Web Server Authentication" in text
    subprocess.run(
        ["openssl", "verify", "-CAfile", pki.certificate("ca"), pki.certificate("apiserver")],
        check=True,
        capture_output=True,
    )


def test_a_client_certificate_carries_user_and_groups(pki):
    pki.make(Certificate("client", "someone", groups=["system:masters"]))
    text = text_of(pki.certificate("client"))
    assert "Subject: O = system:masters, CN = someone" in text
    assert "TLS Web Server Authentication" not in text


def test_making_again_changes_nothing(pki):
    certificate = Certificate("etcd", "etcd", addresses=["127.0.0.1"])
    pki.make(certificate)
    pki.make_signing_key("service-accounts")
    before = {path.name: path.read_bytes() for path in pki.folder.iterdir()}
    pki.make_root("ca")
    pki.make(certificate)
    pki.make_signing_key("service-accounts")
    assert {path.name: path.read_bytes() for path in pki.folder.iterdir()} == before


def test_a_run_killed_between_key_and_certificate_is_made_good(pki):
    pki.key("etcd").write_text("half a key")
    pki.make(Certificate("etcd", "etcd", addresses=["127.0.0.1"]))
    assert pki.key("etcd").read_text().startswith("-----BEGIN")


def test_keys_are_for_the_owner_only(pki):
    pki.make(Certificate("etcd", "etcd", addresses=["127.0.0.1"]))
    private, _ = pki.make_signing_key("service-accounts")
    for path in (pki.key("ca"), pki.key("etcd"), private):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_user_keeps_the_token_over_restarts(tmp_path):
    file = tmp_path / "tokens.json"
    token = Tokens(file).of("admin")
    assert Tokens(file).of("admin") == token
    assert Tokens(file).of("someone-else") != token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_token_file_quotes_groups_as_the_api_server_reads_them():
    text = token_file([("t1", "admin", ["system:masters", "x"]), ("t2", "system:kube-proxy", [])])
    assert text.splitlines()[0] == 't1,admin,admin,"system:masters,x"'
    assert list(csv.reader(text.splitlines()))[1] == ["t2", "system:kube-proxy", "system:kube-proxy", ""]


def test_the_kubeconfig_stands_alone():
    text = kubeconfig(server="https://127.0.0.1:6443", authority=b"pem", user="admin", token="t", cluster="c")
    parsed = yaml.safe_load(text)
    assert parsed["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:6443",
        "certificate-authority-data": "cGVt",
    }
    assert parsed["users"] == [{"name": "admin", "user": {"token": "t"}}]
    assert parsed["current-context"] == "c"
