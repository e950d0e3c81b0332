"""Drawings as coordinates, for SVGs of our own: graphs and charts."""
