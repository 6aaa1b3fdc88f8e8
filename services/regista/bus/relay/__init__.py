"""The relay: publishes what the store has committed, exactly once and in order."""
