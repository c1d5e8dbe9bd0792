"""The benchmark's load: which pushes there are, when they leave, and how finished jobs are copied."""

from collections import Counter

from bench import finished_jobs, fsync
from bench.load import latency, workload


def test_every_job_is_pushed_twice_in_order() -> None:
    order = workload.order(120)
    assert Counter(number for number, _ in order) == Counter(dict.fromkeys(range(120), 2))
    for number in range(120):
        assert order.index((number, False)) < order.index((number, True))


def test_a_push_has_one_size_whatever_its_job() -> None:
    sizes = {len(one) for one in workload.pushes(1, 3)}
    assert len({one.partition(b"\r\n\r\n")[2][-3:] for one in workload.pushes(1, 3)}) == 1
    assert len(sizes) <= 2  # `running` and `succeeded` differ in the head alone


def test_pushes_leave_in_order_around_their_times() -> None:
    planned = latency.schedule(1, 10.0, [b"push"] * 50)
    times = [at for at, _ in planned]
    assert times == sorted(times)
    assert all(abs(at - n / 10) <= 0.25 / 10 + 1e-9 for n, at in enumerate(times))


def test_a_copied_job_has_other_ids_of_the_same_length() -> None:
    ids = [b"run0001-0000000", b"ed1eafe08b6611d0", b"755fc4b622bac805b8a51a82b586fa97"]
    content = finished_jobs.packed([(b"SET", b"job:" + ids[0], ids[1]), (b"SET", ids[2], b"1")])
    copies = {finished_jobs.renamed(content, ids, number) for number in range(100)}
    assert len(copies) == 100
    assert {len(one) for one in copies} == {len(content)}
    assert not any(old in one for one in copies for old in ids)


def test_commands_are_packed_as_redis_reads_them() -> None:
    packed = finished_jobs.packed([(b"PEXPIRE", b"key", 1500)])
    assert packed == b"*3\r\n$7\r\nPEXPIRE\r\n$3\r\nkey\r\n$4\r\n1500\r\n"


def test_syncs_are_read_from_what_strace_wrote() -> None:
    log = (
        "412 fdatasync(11)                        = 0 <0.003150>\n"
        "412 --- SIGCHLD {si_signo=SIGCHLD} ---\n"
        "415 fdatasync(11 <unfinished ...>\n"
        "415 <... fdatasync resumed>)             = 0 <0.001000>\n"
    )
    assert fsync.TOOK.findall(log) == ["0.003150", "0.001000"]
