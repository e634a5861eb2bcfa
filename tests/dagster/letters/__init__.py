"""A family small enough to be run hundreds of times: a text, a table, a model that counts epochs, a report."""
