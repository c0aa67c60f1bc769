"""From a running server's own description: contract.json, procedures.py and the reference pages."""
