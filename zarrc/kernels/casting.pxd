"""Checked casting: integers must fit, floats that become integers must be whole and fit."""
