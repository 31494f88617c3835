"""What is served to a browser or a program: a folder's page, on this machine only."""
