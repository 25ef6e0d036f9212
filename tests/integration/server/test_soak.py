"""The soak of `make soak-server`, in its shortest form."""

from bench.server.soak import soak


def test_a_server_at_saturation_answers_everybody_whatever_its_clients_do(tmp_path):
    results = soak(seconds=20, folder=tmp_path, say=print)
    assert [result.faults for result in results] == [[], []], "\n".join(map(str, results))
    for result in results:
        assert result.outcomes["200"] > 100
        assert result.outcomes["left"] > 10
