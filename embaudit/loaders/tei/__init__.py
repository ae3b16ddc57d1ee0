"""text-embeddings-inference, by its versions and backends."""
