"""The HTTP service before the pool: the counting endpoint for callers that change one base URL."""
