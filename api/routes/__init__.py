"""The operations of `/api/v1`, one module a subject."""
