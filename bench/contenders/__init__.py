"""Who is compared: Ringback, another commit of it, and the two baselines.

running        a contender that runs
ringback       starts `ringback up`, of this tree or of another commit
baselines      starts the two baselines
relay          baseline (b): receives and calls back in one process, keeps nothing
bare_receiver  a bare endpoint, beside which the receiver alone is measured
arq_app        baseline (a), the receiver
arq_worker     baseline (a), a worker
arq_settings   what both parts of it agree on
standard       what both baselines share to receive
callbacks      what both baselines share to call back
"""
