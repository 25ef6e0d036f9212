"""Durations and quantities: what Kubernetes users write, and what the API server makes of it."""

import re
from datetime import UTC
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from modelway.api.units import (
    Duration,
    Quantity,
    Time,
    canonical_quantity,
    canonical_resource,
    quantity_value,
    rfc3339,
    seconds,
    time_of,
)

# What kube-apiserver 1.35 gave back for each of these, as a limit of a ResourceQuota and as a container's limit.
STORED = {
    "0": "0",
    "1": "1",
    "1000": "1k",
    "1024": "1024",
    "1500": "1500",
    "1048576": "1048576",
    "0.5": "500m",
    ".5": "500m",
    "1.5": "1500m",
    "0.001": "1m",
    "1000m": "1",
    "1500m": "1500m",
    "1.5k": "1500",
    "1000k": "1M",
    "1000M": "1G",
    "1.5Ki": "1536",
    "0.5Ki": "512",
    "1024Mi": "1Gi",
    "1536Mi": "1536Mi",
    "1000Mi": "1000Mi",
    "1.5Gi": "1536Mi",
    "0.1Mi": "104857600m",
    "0.3Ki": "307200m",
    "1024Gi": "1Ti",
    "2.5Mi": "2560Ki",
    "1e3": "1e3",
    "12e5": "1200e3",
    "1e2": "100",
    "100e1": "1e3",
    "1.5e3": "1500",
    "1e-3": "1e-3",
    "0Ki": "0",
    "0m": "0",
    "0.0": "0",
    "7Ei": "7Ei",
}
ROUNDED_UP = {"0.0001": "1m", "1u": "1m", "100n": "1m", "12.5m": "13m", "1.0001": "1001m", "3.14159265358979": "3142m"}

SUFFIXES = [
    "",
    "n",
    "u",
    "m",
    "k",
    "M",
    "G",
    "T",
    "P",
    "E",
    "Ki",
    "Mi",
    "Gi",
    "Ti",
    "Pi",
    "Ei",
    "e0",
    "e-7",
    "E3",
    "e99",
]
QUANTITIES = st.builds(
    "{}{}{}".format,
    st.integers(0, 10**12),
    st.sampled_from(["", ".", ".5", ".125", ".000001", ".99999999999"]),
    st.sampled_from(SUFFIXES),
)


class TestQuantity:
    @pytest.mark.parametrize(("written", "stored"), STORED.items())
    def test_it_is_what_the_api_server_stores(self, written, stored):
        assert canonical_quantity(written) == canonical_resource(written) == stored

    @pytest.mark.parametrize(("written", "stored"), ROUNDED_UP.items())
    def test_resources_are_rounded_up_to_thousandths(self, written, stored):
        assert canonical_resource(written) == stored

    def test_other_quantities_are_exact_to_a_billionth(self):
        assert canonical_quantity("12.5m") == "12500u"

    @given(QUANTITIES)
    def test_the_canonical_form_is_its_own(self, quantity):
        for canonical in (canonical_quantity, canonical_resource):
            assert canonical(canonical(quantity)) == canonical(quantity)

    @given(QUANTITIES)
    def test_the_canonical_form_means_the_same(self, quantity):
        difference = quantity_value(canonical_quantity(quantity)) - quantity_value(quantity)
        assert Decimal(0) <= difference <= Decimal("1e-9")

    @pytest.mark.parametrize("quantity", [1, 1024, 0])
    def test_a_number_is_a_quantity(self, quantity):
        assert quantity_value(quantity) == quantity

    @pytest.mark.parametrize("wrong", ["", "1XB", "-1", "1 Gi", "Gi", "1e100", "+1", "1,5", "1GiB"])
    def test_what_is_no_quantity_is_refused_and_named(self, wrong):
        with pytest.raises(ValueError, match=re.escape(repr(wrong))):
            canonical_quantity(wrong)

    def test_none_is_above_what_kubernetes_knows(self):
        assert quantity_value("9999999999999999Ei") == 2**63 - 1

    def test_two_ways_to_write_one_quantity_are_read_as_one(self):
        read = TypeAdapter(Quantity).validate_python
        assert read("1024Mi") == read("1Gi")


class TestDuration:
    @pytest.mark.parametrize(
        ("written", "meant"),
        [("250ms", 0.25), ("30s", 30), ("10m", 600), ("720h", 2592000), ("1h30m", 5400), ("1.5s", 1.5), ("1m1m", 120)],
    )
    def test_it_is_what_go_reads(self, written, meant):
        assert seconds(written) == meant

    @pytest.mark.parametrize("wrong", ["", "30d", "30", "s", "1 h", "-1s", "1h-30m", "5us", "P1D"])
    def test_what_is_no_duration_is_refused_and_named(self, wrong):
        with pytest.raises(ValueError, match=re.escape(repr(wrong))):
            seconds(wrong)

    @pytest.mark.parametrize("wrong", ["0s", "0h0m", "0.0s"])
    def test_no_time_at_all_is_no_duration(self, wrong):
        with pytest.raises(ValidationError):
            TypeAdapter(Duration).validate_python(wrong)


class TestTime:
    @pytest.mark.parametrize(
        "written", ["2026-11-21T12:00:00Z", "2026-11-21T14:30:00+02:30", "2026-11-21T03:00:00.999-09:00"]
    )
    def test_it_is_kept_in_utc_and_written_to_the_second(self, written):
        times = TypeAdapter(Time)
        read = times.validate_python(written)
        assert f"{read:%Y-%m-%d %H:%M}" == "2026-11-21 12:00"
        assert times.dump_python(read) == rfc3339(time_of(written)) == "2026-11-21T12:00:00Z"

    @given(st.datetimes(timezones=st.just(UTC)))
    def test_what_is_written_is_read_again_whatever_the_year(self, moment):
        assert time_of(rfc3339(moment)) == moment.replace(microsecond=0)
        assert len(rfc3339(moment)) == len("2026-11-21T12:00:00Z")

    @pytest.mark.parametrize("wrong", ["2026-11-21T12:00:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
    def test_what_is_no_moment_of_utc_is_refused(self, wrong):
        with pytest.raises(ValidationError):
            TypeAdapter(Time).validate_python(wrong)
