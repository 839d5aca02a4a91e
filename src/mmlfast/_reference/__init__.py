"""Each kernel in a few readable lines of NumPy: the specification that the tests compare with. Not fast, not public."""
