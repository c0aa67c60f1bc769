"""What stands around every operation, the outermost first: observed, failures, rates, sizes, kept answers.

Each is one `__call__`: FastMCP's own hooks by kind of message cost three more calls each.
"""
