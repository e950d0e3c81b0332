"""Models behind a server or in local weights: one module a way to reach them."""
