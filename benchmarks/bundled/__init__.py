"""Tables that ship with the package. The code that opens a table does not depend on the code that makes it."""
