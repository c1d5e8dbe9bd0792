"""Polls of a provider that answers at once.

rate        section: polls a second of a worker, beside a bare aiohttp loop
watching    section: how late polls leave, and what watched jobs take
learnt      section: the learnt schedule on a real worker, beside the simulation
store       a store with watched jobs, and the processes that poll them
provider    the provider, which notes when it was asked about which job
bare_loop   the upper limit: a loop that GETs through aiohttp, and keeps nothing
"""
