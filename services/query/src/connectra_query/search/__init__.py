"""Trees of conditions as requests to Elasticsearch, the requests themselves, and what is read from their answers."""
