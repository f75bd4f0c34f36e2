/* COMPRESS: RFC 4978 section 3. */
#include "imap/session.h"

enum next imap_compress(struct imap_session *s, struct imap_command *command)
{
	struct slice algorithm;

	if (!imap_parse_space(&command->args) || !imap_parse_atom(&command->args, &algorithm) ||
	    !imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	if (!slice_eq_nocase(algorithm, SLICE("DEFLATE")))
		return imap_bad(s, command, SLICE("COMPRESS: DEFLATE is what there is"));
	if (conn_is_deflated(imap_conn(s)))
		return imap_no(s, command, SLICE("COMPRESSIONACTIVE"), SLICE("It is compressed already"));
	(void)imap_ok(s, command, SLICE("Compressed from here on"));
	return conn_start_deflate(imap_conn(s)) ? NEXT_PARK : NEXT_CLOSE;
}
