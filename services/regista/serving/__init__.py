"""A small model server: one artifact, fetched by its digest, verified, loaded and served (``python -m regista.serving``).

It is what the targets that run models on this machine start, and it can stand behind any proxy.
"""
