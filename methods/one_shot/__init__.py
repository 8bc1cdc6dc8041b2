"""Methods that train one weight-sharing supernet."""
