"""The processes of a registry beside its API, and the parts that each is wired from by its settings."""
