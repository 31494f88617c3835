"""The report: terminal tables, figures and one offline page, drawn from records only."""
