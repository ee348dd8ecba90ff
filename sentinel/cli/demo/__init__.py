"""`sentinel demo`: the whole loop on embedded parts, driven and judged from outside, over the same APIs a user has."""
