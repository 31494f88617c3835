"""Ground floor: errors, configuration, records and the legend of dimension letters."""
