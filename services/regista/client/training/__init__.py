"""What a training run can tell about itself: code, data, seed, packages, hardware. Nothing here touches the network.

Libraries for data are never imported here: whoever hands over a data frame has imported its library already.
Environment variables, host names and user names of remotes are never recorded.
"""
