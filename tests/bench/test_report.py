"""The benchmark's figures: medians with ranges, ratios within rounds, claims."""

from bench import report, throughput
from bench.load.driver import LOAD, Run
from bench.load.latency import percentile
from bench.runner import rotated


def run(rate: float, cpu: dict[str, float] | None = None, delays: tuple[float, ...] = ()) -> Run:
    return Run(100, 1.0, rate, 0, cpu or {}, 0.0, delays=delays)


def test_a_spread_is_the_median_with_the_least_and_the_most() -> None:
    assert report.spread([30.0, 10.0, 20.0], ".0f") == "20 [10 to 30]"
    assert report.spread([7.0], ".1f") == "7.0"
    assert report.spread([], ".1f") == "-"


def test_ratios_are_taken_within_a_round() -> None:
    runs = {"ringback": [run(100.0), run(300.0)], "relay": [run(200.0), run(400.0)]}
    assert report.ratios(runs, "ringback", "relay") == [0.5, 0.75]


def test_a_ratio_to_one_that_did_not_run_is_empty() -> None:
    assert report.ratios({"ringback": [run(100.0)]}, "ringback", "arq") == []


def test_the_cost_of_a_job_leaves_the_load_generator_out() -> None:
    assert report.cost(run(1.0, {"processor.web": 300.0, "workers": 200.0, LOAD: 100.0})) == 500.0


def test_the_processes_of_ringback_are_told_apart_by_their_titles() -> None:
    cpu = {
        "processor.cli up": 1.0,
        "redis-server redis.sock": 2.0,
        "processor.web": 3.0,
        "workers": 4.0,
        "workers.clock": 5.0,
        LOAD: 6.0,
    }
    assert report.by_role(run(1.0, cpu)) == {"redis": 2.0, "web": 3.0, "workers": 4.0, "rest": 6.0}


def test_a_claim_holds_by_the_median() -> None:
    (held,) = report.at_least("faster", [1.4, 1.5, 1.6], 1.45, ".2f")
    (missed,) = report.at_most("slower", [1.4, 1.5, 1.6], 1.45, ".2f")
    assert (held.held, missed.held) == (True, False)
    assert "| slower | 1.50 [1.40 to 1.60] | NO " in report.claim_table([missed])


def test_nothing_is_claimed_that_was_not_measured() -> None:
    assert report.at_least("faster", [], 1, ".2f") == []
    assert throughput.claims({"ringback": [run(100.0)]}) == []


def test_before_and_after_are_compared_in_rate_cost_and_latency() -> None:
    new = run(200.0, {"workers": 300.0}, (2.0, 4.0))
    old = run(100.0, {"workers": 600.0}, (4.0, 8.0))
    fast = run(400.0, {"uvicorn": 200.0}, (1.0, 1.0))
    found = throughput.claims({"ringback": [new], "before": [old], "relay": [fast]})
    measured = {claim.text: claim.measured for claim in found}
    assert measured["at least 1.45 times before"] == "2.00"
    assert measured["at least 65 % of the relay"] == "50%"
    assert measured["processor time of a job: at most 1.5 times the relay's"] == "1.50"
    assert measured["light load: p50 at most 0.6 of before"] == "0.50"
    assert measured["light load: p99 at most 1.2 times before"] == "0.50"


def test_each_round_begins_with_another_contender() -> None:
    rounds = [rotated(["a", "b", "c"], number) for number in range(4)]
    assert rounds == [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"], ["a", "b", "c"]]


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert percentile(values, 0.5) == 51.0
    assert percentile(values, 0.99) == 100.0
    assert percentile([5.0], 0.99) == 5.0
