"""The pure part: reading plans and states, what they mean, and the reset plan."""
