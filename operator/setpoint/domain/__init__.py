"""Pure decisions: no I/O, clock, randomness or logging. Everything that time or chance decides comes in as a value."""
