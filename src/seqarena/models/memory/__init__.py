"""Systems whose memory is read or transformed in several steps."""
