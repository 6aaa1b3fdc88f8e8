"""The event schemas: Avro records that are the contract of the log, of Kafka and of every export.

``codec`` turns records into bytes and back, ``lock`` keeps released schemas unchanged, ``compatibility`` judges new
revisions. This package imports nothing else of Regista.
"""
