"""Lycosa: a customer-intelligence server that lives in Tarantool."""

__version__ = "0.1.0"
