"""What `seqarena.api` and the command line set going: whole jobs, from a request to a page."""
