"""Threads are as many as the cores that a process may use, not as many as a machine has."""

import os

import pytest

from duet import cpu_cores

V1 = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")


@pytest.fixture(autouse=True)
def a_machine_of_64_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 64),
        ({"cpu.max": "max 100000\n"}, 64),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),  # docker run --cpus 1.5
        ({"cpu.max": "20000 100000\n"}, 1),
        ({"cpu.max": "12800000 100000\n"}, 64),
        ({"cpu.max": ""}, 64),
        (dict(zip(V1, ("-1\n", "100000\n"), strict=True)), 64),
        (dict(zip(V1, ("400000\n", "100000\n"), strict=True)), 4),
        (dict(zip(V1, ("400000\n", "0\n"), strict=True)), 64),
    ],
)
def test_a_container_has_those_of_its_share_of_time(tmp_path, files, cores):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cpu_cores.usable(tmp_path) == cores


def test_a_process_has_those_that_it_is_bound_to(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7})
    assert cpu_cores.usable(tmp_path) == 3


def test_a_system_that_binds_no_process_has_all(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpu_cores.usable(tmp_path) == 64
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpu_cores.usable(tmp_path) == 1
