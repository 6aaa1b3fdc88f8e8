"""Kafka. Alone in importing aiokafka."""
