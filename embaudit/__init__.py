"""Audit the weight files of embedding models before they enter a notebook, a pipeline or a service."""
