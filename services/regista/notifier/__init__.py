"""Webhooks: what happens in the log is told to whoever subscribed, at least once and in the order of each stream."""
