"""The delivering side alone: events that are committed already, posted to subscribers.

alone       section: events per second to one subscriber, beside baselines
noise       section: what failing subscribers cost the others
contenders  how each is started, with its events ready for it
events      what all of them post
store       Ringback's delivering side: a store with committed events, clock and workers
sink        the subscribers, healthy and failing
fill_arq    fills the queues of arq's workers
bare_loop   the upper limit: a loop that signs and posts through aiohttp or our client
"""
