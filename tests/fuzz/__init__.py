"""Fuzzing: what strangers' bytes reach first, fed with bytes that a fuzzer makes of the code it has seen run."""
