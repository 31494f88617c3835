"""Work that is done once and kept: a job, where it runs, where its result lies, how it is shown."""
