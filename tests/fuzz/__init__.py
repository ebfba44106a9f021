"""Coverage-guided fuzzing of the code that processes untrusted bytes."""
