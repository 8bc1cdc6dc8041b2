"""Parts of one-shot methods. The registry looks for methods in the folder above only."""
