"""Kafka: topics, envelope, relay, command intake, the feed of projections, subscribers. Alone in importing aiokafka."""
