"""What counts, case by case; `test_exact` has them in any order."""

from datetime import timedelta

import numpy as np

from modelway.plan.monitoring.counting import NOBODY, Mark, counted, difference, total
from modelway.plan.monitoring.readings import Served
from support.builders import NOW
from support.monitored import Server, layout_of_model, pod, usual_rows

LAYOUT = layout_of_model(rows=1000)
SIZE = sum(LAYOUT.sizes())


def server(rows=0, *, created_at=NOW):
    one = Server(pod("pod-0", "6f1c2a9b", created_at), LAYOUT)
    if rows:
        one.ask(usual_rows(np.random.default_rng(rows), rows), [0.5] * rows)
    return one


def gathered(marks, *servers, present=("uid-of-pod-0",), layout=LAYOUT.id):
    readings = [one.read(NOW) for one in servers]
    return counted(marks, readings, layout=layout, size=SIZE, began_at=NOW, present=present)


def test_a_pod_that_was_made_since_counts_in_full():
    window, _ = gathered({}, server(70))
    assert (window.rows, sum(window.answers.values()), window.gaps) == (70, 70, 0)


def test_of_an_older_pod_that_was_never_read_only_the_mark_is_taken():
    old = server(70, created_at=NOW - timedelta(seconds=1))
    window, marks = gathered({}, old)
    assert (window.rows, window.answers, window.gaps) == (0, {}, 0)
    old.ask(usual_rows(np.random.default_rng(1), 5))
    assert gathered(marks, old)[0].rows == 5


def test_what_is_more_than_at_the_last_reading_counts():
    one = server(70)
    _, marks = gathered({}, one)
    before = one.inputs
    one.ask(usual_rows(np.random.default_rng(2), 30))
    window, _ = gathered(marks, one)
    assert window.rows == 30
    assert window.inputs.all().tolist() == (one.inputs - before).tolist()


def test_a_process_that_began_anew_began_at_nothing_and_is_a_gap():
    one = server(70)
    _, marks = gathered({}, one)
    one.restart()
    one.ask(usual_rows(np.random.default_rng(3), 90))
    window, _ = gathered(marks, one)
    assert (window.rows, window.gaps) == (90, 1)
    assert window.inputs.all().tolist() == one.inputs.tolist()


def test_counts_that_have_fallen_are_another_process_whatever_it_says():
    _, marks = gathered({}, server(70))
    window, _ = gathered(marks, server(20))
    assert (window.rows, window.gaps) == (20, 1)


def test_a_pod_that_is_gone_without_a_last_reading_is_a_gap():
    _, marks = gathered({}, server(70))
    window, marks = gathered(marks, present=())
    assert (window.rows, window.gaps, marks) == (0, 1, {})


def test_a_pod_that_was_read_while_it_ended_is_none():
    one = server(70)
    _, marks = gathered({}, one)
    one.ask(usual_rows(np.random.default_rng(4), 10))
    one.pod = one.pod._replace(is_ending=True)
    window, marks = gathered(marks, one, present=())
    assert (window.rows, window.gaps, marks) == (10, 0, {})


def test_a_pod_that_does_not_answer_for_a_while_keeps_its_mark():
    one = server(70)
    _, marks = gathered({}, one)
    window, kept = gathered(marks)
    assert (window.rows, window.gaps) == (0, 0)
    one.ask(usual_rows(np.random.default_rng(5), 10))
    assert gathered(kept, one)[0].rows == 10


def test_inputs_of_another_layout_do_not_count_but_answers_do():
    window, marks = gathered({}, server(70), layout="another")
    assert (window.rows, sum(window.answers.values())) == (0, 70)
    assert not window.inputs.all().any()
    assert marks["uid-of-pod-0"].layout == ""


def test_requests_are_added_up_by_bound_and_differences_are_of_one_process():
    one, other = Served(10, 1, ((250, 8), (500, 9))), Served(30, 2, ((250, 20), (500, 25)))
    assert total((one, other)) == Served(40, 3, ((250, 28), (500, 34)))
    assert difference(other, one) == Served(20, 1, ((250, 12), (500, 16)))
    assert difference(one, NOBODY) == one
    assert Mark("e1").served == NOBODY
