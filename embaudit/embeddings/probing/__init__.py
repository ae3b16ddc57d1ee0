"""Asking a backend for the vectors of fixed texts, and holding the answers against earlier ones."""
