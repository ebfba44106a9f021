"""Two embeddings -> one number whose meaning is measured."""
