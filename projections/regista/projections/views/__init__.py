"""The views: one module each, with its tables and the pure fold from events to changes.

A view's ``version`` goes up with every change to its tables or to what its fold writes; the projector then builds the
new version beside the old one.
"""
