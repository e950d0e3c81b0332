"""What each part of a method does to outcomes on generated worlds: `whyrec mechanism`."""
