"""SSI's files as DISCOVER and NOVA have them: streams of numbers and annotations, each an XML header and a file of data."""
