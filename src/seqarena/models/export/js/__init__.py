"""The step's graph as data for the interpreter of a page (report/page/js/live-machine.js)."""
