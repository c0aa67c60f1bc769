"""What surfaces take and answer, as pydantic models: the shape of the wire and its documentation."""
