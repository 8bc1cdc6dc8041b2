"""What a GPU does with this project's trainings, in pieces of minutes: predictions, and measurements next to them."""
