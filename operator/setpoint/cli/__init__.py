"""The `setpoint` command: arguments in, text and exit codes out. What it does is done by the layers below."""
