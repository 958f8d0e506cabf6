"""What the user typed -> a selection; a selection on a chunk grid -> the plan that the engine runs."""
