/* Preloaded into a server while its mailboxes are filled, never while it is measured. */
int fsync(int fd)
{
	return fd < 0;
}

int fdatasync(int fd)
{
	return fd < 0;
}
