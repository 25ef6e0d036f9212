"""Every row counts once: whatever happens to pods, to readings and to the operator, in whatever order.

A hypothesis state machine sends rows to pods, starts and ends them, in order or not, leaves some unread, and restarts
the operator. What the operator comes to must be what a single process would have counted that saw all rows, but for
those that a pod had counted when it was killed before anybody read them; and such an end is counted as a gap.
"""

from datetime import timedelta

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from modelway.api.monitoring import Monitoring
from modelway.plan.monitoring.keeping import content_of, watch_from
from modelway.plan.monitoring.packing import parts
from modelway.plan.monitoring.readings import Collected, Served
from modelway.plan.monitoring.rounds import Round, RouterMark, begun, carried
from modelway.stats.drift_cells import counted
from support.builders import NOW
from support.monitored import LEARNING, NAMES, Server, layout_of_model, pod, usual_rows

LAYOUTS = (layout_of_model(rows=1000), LEARNING)
GIVEN = Monitoring(min_rows=100)


class Fleet(RuleBasedStateMachine):
    """Pods, an operator, and somebody who has counted every row."""

    @initialize(layout=st.sampled_from(LAYOUTS), seed=st.integers(0, 2**32 - 1))
    def begins(self, layout, seed):
        self.rng = np.random.default_rng(seed)
        self.layout, self.now, self.serial = layout, NOW, 0
        size = sum(layout.sizes())
        self.seen, self.unread = np.zeros(size, np.int64), {}
        self.summed = np.zeros(size, np.int64)
        self.lost, self.gaps = np.zeros(size, np.int64), 0
        self.servers, self.ending = {}, {}
        self.answers = self.summed_answers = 0
        self.starts_a_pod()
        self.watch = begun("model", self.round_of(self.servers.values()))

    def round_of(self, servers):
        self.now += timedelta(minutes=5)
        readings = tuple(one.read(self.now) for one in servers) + tuple(self.ending.values())
        present = {one.pod.pod.uid for one in self.servers.values()}
        collected = Collected(self.now, readings, {self.layout.id: self.layout})
        return Round(collected, self.now, present, None, GIVEN)

    @rule()
    def starts_a_pod(self):
        self.serial += 1
        server = Server(pod(f"pod-{self.serial}", "6f1c2a9b", self.now), self.layout)
        self.servers[server.pod.pod.uid] = server
        self.unread[server.pod.pod.uid] = np.zeros_like(self.seen)

    @precondition(lambda self: self.servers)
    @rule(rows=st.integers(1, 40))
    def asks_everybody(self, rows):
        for uid in sorted(self.servers):
            columns = usual_rows(self.rng, rows)
            columns["amount"][: rows // 3] = np.nan
            found = [counted(columns[name], cells) for name, cells in zip(NAMES, self.layout.cells(), strict=True)]
            self.seen += np.concatenate(found)
            self.unread[uid] += np.concatenate(found)
            self.servers[uid].ask(columns)

    @precondition(lambda self: self.servers)
    @rule(data=st.data())
    def ends_in_order(self, data):
        uid = data.draw(st.sampled_from(sorted(self.servers)))
        server = self.servers.pop(uid)
        server.pod = server.pod._replace(is_ending=True)
        self.ending[uid] = server.read(self.now)
        del self.unread[uid]

    @precondition(lambda self: self.servers)
    @rule(data=st.data())
    def is_killed(self, data):
        uid = data.draw(st.sampled_from(sorted(self.servers)))
        del self.servers[uid]
        self.lost += self.unread.pop(uid)

    @precondition(lambda self: self.servers)
    @rule(data=st.data())
    def its_process_begins_anew(self, data):
        uid = data.draw(st.sampled_from(sorted(self.servers)))
        self.servers[uid].restart()
        self.lost += self.unread[uid]
        self.unread[uid] = np.zeros_like(self.seen)

    @rule(windows=st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.sets(st.integers(0, 2))), max_size=4))
    def time_passes(self, windows):
        """Windows with so many rows, the operator restarted in some, and in each some pods that do not answer."""
        for rows, restarted, silent in windows:
            if rows:
                self.asks_everybody(rows)
            if restarted:
                self.restarts_the_operator()
            self.is_read(silent)

    def is_read(self, silent):
        answering = {uid for place, uid in enumerate(sorted(self.servers)) if place not in silent}
        round_ = self.round_of(self.servers[uid] for uid in sorted(answering))
        if not round_.collected.readings:
            return
        self.watch = carried(self.watch, round_)
        if self.watch.layout:
            self.summed += self.watch.last.inputs.all()
        self.ending = {}
        for uid in answering:
            self.unread[uid] = np.zeros_like(self.seen)

    @rule()
    def restarts_the_operator(self):
        known = watch_from(content_of(self.watch))
        assert known is not None
        assert content_of(known) == content_of(self.watch)
        self.watch = known

    @invariant()
    def nothing_is_lost_or_doubled(self):
        if not hasattr(self, "watch"):
            return
        waiting = sum(self.unread.values(), np.zeros_like(self.seen))
        on_their_way = sum((self.left_of(one) for one in self.ending.values()), np.zeros_like(self.seen))
        assert (self.summed + waiting + on_their_way + self.lost).tolist() == self.seen.tolist()

    def left_of(self, reading):
        """What the last reading of a pod that is gone holds that no round has counted."""
        mark = self.watch.marks.get(reading.of.pod.uid)
        counted_already = mark is not None and mark.epoch == reading.epoch
        return reading.inputs.all() - (mark.inputs.all() if counted_already else 0)


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_the_counts_of_a_window_are_those_of_one_process_that_saw_all_rows():
    rng, layout = np.random.default_rng(1), LAYOUTS[0]
    servers = [Server(pod(f"pod-{n}", "6f1c2a9b", NOW), layout) for n in range(5)]
    one = Server(pod("alone", "6f1c2a9b", NOW), layout)
    watch = begun("model", Round(Collected(NOW, (), {}), NOW, (), None, GIVEN))
    for place in range(50):
        rows = usual_rows(rng, 20)
        servers[place % 5].ask(rows, [0.5])
        one.ask(rows, [0.5])
    later = NOW + timedelta(minutes=5)
    readings = tuple(server.read(later) for server in servers)
    present = {server.pod.pod.uid for server in servers}
    watch = carried(watch, Round(Collected(later, readings, {layout.id: layout}), later, present, None, GIVEN))
    assert watch.last is not None
    for merged, alone in zip(
        parts(watch.last.inputs.all(), layout.sizes()), parts(one.inputs, layout.sizes()), strict=True
    ):
        assert merged.tolist() == alone.tolist()
    assert watch.last.answers == dict(one.answers)


def routed(watch, minute, *routers):
    at = NOW + timedelta(minutes=minute)
    return carried(watch, Round(Collected(at, (), {}), at, (), routers, GIVEN))


def router(name, requests, *, epoch="e1", created_at=NOW):
    return RouterMark(f"uid-of-{name}", epoch, created_at, Served(requests, requests // 100, ((250, requests // 2),)))


def test_what_routers_count_is_taken_in_once_whichever_of_them_comes_goes_or_begins_anew():
    old = router("a", 5000, created_at=NOW - timedelta(hours=1))
    watch = begun("model", Round(Collected(NOW, (), {}), NOW, (), (old,), GIVEN))
    watch = routed(watch, 5, router("a", 5400), router("b", 300))
    assert watch.served[-1] == Served(700, 7, ((250, 350),))
    watch = watch_from(content_of(watch))
    assert watch is not None
    watch = routed(watch, 10, router("a", 100, epoch="e2"), router("b", 300))
    assert watch.served[-1] == Served(100, 1, ((250, 50),))
    watch = routed(watch, 15, router("b", 900))
    assert watch.served[-1] == Served(600, 6, ((250, 300),))
