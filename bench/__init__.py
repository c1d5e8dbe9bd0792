"""The benchmark: `python -m bench SECTION…`; README.md says what each section shows.

__main__       the command line
sections       the table of all sections: what each measures, and in how many seconds
runner         what all sections share: options, the load, processes that are started and ended
report         tables, medians with their ranges, claims
chart          a chart of lines with bands, as SVG
page           docs/benchmarks.md, from the last figures of each section
throughput     section: jobs per second, processor time and light load of all contenders
curve          section: latency at steps up to saturation
steps          section: where the time of a lone push goes, by Redis' MONITOR
bytecodes      section: bytecodes of a push and of a job, by function
tracer         counts them, inside the processes
idle           section: idle processes with 100,000 sleeping jobs
growth         section: a store with a million finished jobs beside an empty one
finished_jobs  fills a store with finished jobs, by copying what one leaves
receiver       section: pushes until the 202, beside a bare endpoint
scaling        sections: more workers, a second receiver, another Python
fsync          section: appendfsync always, and what the disk takes
groups         section: a group of 10,000 jobs, and what it costs the others
memory         section: bytes of Redis a job, an event, a delivery
reserve        section: bytes that accepted work still takes
post           section: what a POST costs its sender, through our client and through aiohttp
polling        section: polls and detection delay of the learnt schedule, by simulation
poll_shapes    how long simulated jobs take
best_polls     the best poll schedule for a known distribution, by dynamic programming
reading        section: reading each captured push
hostile        section: honest pushes during attacks
delivery       sections: deliveries alone; subscribers beside failing ones
polls          sections: polls a second of a worker; 100,000 watched jobs
dashboard      section: pages with 100,000 jobs, and a browser during 500 events a second
listeners      section: listeners of /v1/events
contenders     Ringback, another commit of it, and the two baselines
load           the load generator and the sink
environments   Python environments, made on first use
processes      child processes: started, measured, ended
redis_server   a private Redis
"""
