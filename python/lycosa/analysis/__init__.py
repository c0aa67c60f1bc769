"""The analysis of a customer: gather, write with one model call, verify, remember."""
