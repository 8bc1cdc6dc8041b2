"""Search methods, one file each; the folder says the kind, the file name is the method's name."""
