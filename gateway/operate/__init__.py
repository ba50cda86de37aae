"""Everything that operators do and see, written once. Any front end, such as the CLI, stands on it.

Functions take a store, a Config where they need one, and plain arguments. They return frozen values or yield the
progress of long work, raise GatewayError, and print nothing. `views` makes the JSON of each value.
"""
