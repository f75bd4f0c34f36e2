/* SEARCH: RFC 9051 section 6.4.4, with the answers of RFC 3501 for clients that haven't enabled IMAP4rev2. */
#include "imap/context.h"
#include "imap/search_run.h"
#include "imap/session.h"

enum next imap_search(struct imap_session *s, struct imap_command *command)
{
	struct search_request request;
	struct search_hits hits;
	enum status status;

	if (!imap_parse_space(&command->args) || !imap_parse_search(&command->args, &request))
		return imap_bad_arguments(s, command);
	if (request.unknown_charset)
		return imap_no_charset(s, command, &request);
	if (!imap_parse_end(&command->args))
		return imap_bad_arguments(s, command);
	if (request.returns & SEARCH_RETURN_UPDATE && imap_context_is_used(s, command->tag))
		return imap_bad(s, command, SLICE("That tag is in use"));
	request.extended |= s->rev2;
	status = imap_search_run(s, &request, &hits);
	imap_search_saved(s, &request, status, &hits);
	if (status == STATUS_OK)
		imap_put_hits(s, command, &request, &hits, SLICE("SEARCH"));
	if (status == STATUS_OK && request.returns & SEARCH_RETURN_UPDATE)
		imap_context_begin(s, command, &request, NULL, &hits, NULL);
	return imap_answer_hits(s, command, status, &hits, SLICE("SEARCH completed"));
}
