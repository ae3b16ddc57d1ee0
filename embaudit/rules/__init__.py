"""Questions: facts to findings."""
