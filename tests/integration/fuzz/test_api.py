"""A live server and the OpenAPI document that it gives of itself."""

import pytest

from fuzz import http


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with http.iris_server(tmp_path_factory.mktemp("iris")) as server:
        yield server


@pytest.mark.timeout(120)
def test_every_answer_is_one_that_the_document_names(server):
    done = http.ask(server, "--generation-deterministic", "--max-examples", "8", "--phases", "coverage,fuzzing")
    assert done.returncode == 0, done.stdout
    assert server.events("prediction_failed") == []


@pytest.mark.timeout(120)
def test_what_does_not_agree_with_the_document_is_found(server):
    """By the one check that the others' run leaves out: any text is valid CSV by the document."""
    options = (
        "--checks",
        "positive_data_acceptance",
        "--phases",
        "coverage",
        "--include-path",
        "/v1/models/iris:predict",
    )
    done = http.ask(server, "--generation-deterministic", *options)
    assert done.returncode == 1, done.stdout
    assert "the body has no header line" in done.stdout


def test_refused_requests_leave_nothing_in_memory(server):
    bodies = ['{"instances": [[1, 2, 3]]}', '{"instances": [[' + "9," * 20_000, "]", '{"instances": [[1, 2, 3, 4]]}']
    with server.client() as client:

        def ask(rounds):
            return {client.post("/v1/models/iris:predict", content=bodies[at % 4]).status_code for at in range(rounds)}

        ask(400)
        before = http.resident(server)
        assert ask(1200) == {200, 400}
    assert http.resident(server) - before < 8 * 2**20
