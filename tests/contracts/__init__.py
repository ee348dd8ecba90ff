"""One suite per Protocol or store that every implementation runs."""
