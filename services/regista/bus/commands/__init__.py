"""Commands over Kafka: taken in and answered by the registrar, published by pipelines."""
