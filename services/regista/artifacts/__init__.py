"""The content-addressed artifact store: what a model's bytes are called, where they lie, what they turn out to be.

The identity of a model is the digest of its manifest (:mod:`regista.artifacts.manifest`); bytes are kept as blobs under
their SHA-256 (:mod:`regista.artifacts.blob_store`) and never replaced. Formats, signatures and imports are read from the
bytes themselves. Only :mod:`regista.artifacts.routes` needs a server package; all else runs in the light client too.
"""
