"""Ground floor: errors, configuration, records, run-time facts and the legend of dimension letters."""
