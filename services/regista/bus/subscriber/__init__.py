"""Subscribing to the log, over Kafka or the event stream of a registry. The latter needs no aiokafka."""
