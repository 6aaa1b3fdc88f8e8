"""The command service: from a request to events in the log, or to a refusal."""
