"""Ways to turn the text of an incident into a vector, one file each."""
