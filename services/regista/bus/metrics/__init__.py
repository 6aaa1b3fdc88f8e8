"""Reports of what is measured, as records on Kafka: bytes, a publisher, a reader."""
