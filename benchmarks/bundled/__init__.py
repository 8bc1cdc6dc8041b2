"""Tables that ship with the package. Opening one needs no code that makes one."""
