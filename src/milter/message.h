/* message: a whole message before a milter: its header fields, its body in pieces, its end; and what the milter wants changed, which is
 * applied all together once it has said that it is content: a milter that dies over a message has changed nothing of it.
 */
#pragma once

#include "milter/client.h"
#include "milter/edit.h"

/* What it wants done to the envelope, in its order. */
enum envelope_change_kind { ENVELOPE_ADD_RCPT, ENVELOPE_DELETE_RCPT, ENVELOPE_CHANGE_FROM };
struct envelope_change {
	enum envelope_change_kind kind;
	struct slice address, arguments; /* as the milter gave them: "<a@example.org>", "NOTIFY=NEVER" */
	struct envelope_change *next;
};

/* What milters have made of a message so far. */
struct milter_message {
	struct edit header;
	struct slice body; /* behind the blank line */
	/* a body that took its place */
	int body_fd;    /* sealed; -1: none */
	void *body_map; /* of it */
	size_t body_map_len;
	struct envelope_change *changes, **last_change;
	bool is_held;
	struct slice held_why;
};
void milter_message_init(struct milter_message *message, struct arena *arena);
void milter_message_free(struct milter_message *message);
bool milter_message_is_changed(const struct milter_message *message);

struct milter_answer milter_message(struct milter *milter, struct arena *arena, struct milter_message *message,
				    const struct milter_macros *macros);
