"""HTTP to addresses that somebody registered: targets and webhooks, called with this process's place in the network.

Whoever may register an address must not reach through it what only this machine reaches: loopback, the private network,
the cloud's metadata service.
"""
