"""Networks fetched by hash, converted and stored."""
