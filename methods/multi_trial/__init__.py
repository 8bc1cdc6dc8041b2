"""Methods that evaluate architectures one by one."""
