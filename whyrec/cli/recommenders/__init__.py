"""Commands that train recommenders and ask them."""
