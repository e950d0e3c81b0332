"""How a table leaves: text, JSON, a plot, the page of results, and the numbers that papers published."""
