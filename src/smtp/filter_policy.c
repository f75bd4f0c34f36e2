/* Policy services at each step. What one says of recipients and messages is kept for the message's end; at connect and HELO, where there is no
 * message yet, only a refusal counts. */
#include "milter/policy.h"
#include "smtp/filter.h"

/* One step: whom it is about, and what has been said so far. */
struct hearing {
	struct smtp_session *session;
	enum policy_stage stage;
	const char *state;      /* protocol_state */
	const char *class;      /* what is refused, in words */
	struct slice about;     /* which one */
	struct slice recipient; /* RCPT */
	uint64_t size;
	struct policy_verdict if_permit, if_reject;
};

/* ---- the request ---- */

static void put_client(struct buf *out, const struct smtp_session *s)
{
	const struct smtp_client_names *names = &s->filter->client;
	const struct net_address *local = conn_local(s->conn);
	struct buf server SCOPED_BUF;

	buf_init(&server, NULL, 0);
	if (local->family != 0)
		net_address_format(&server, local);
	policy_put(out, "client_address", s->filter->peer.address.len > 0 ? s->filter->peer.address : SLICE("unknown"));
	policy_put(out, "client_name", names->name.len > 0 ? names->name : SLICE("unknown"));
	policy_put(out, "reverse_client_name", names->ptr.len > 0 ? names->ptr : SLICE("unknown"));
	policy_put_number(out, "client_port", s->filter->peer.port);
	policy_put(out, "server_address", buf_slice(&server));
	policy_put_number(out, "server_port", local->port);
	policy_put(out, "helo_name", s->helo);
}

static void put_certificate(struct buf *out, const struct smtp_session *s)
{
	static const struct {
		const char *name;
		enum conn_certificate_part part;
	} parts[] = {{"ccert_subject", CONN_CERTIFICATE_SUBJECT},
		     {"ccert_issuer", CONN_CERTIFICATE_ISSUER},
		     {"ccert_fingerprint", CONN_CERTIFICATE_DIGEST},
		     {"ccert_pubkey_fingerprint", CONN_CERTIFICATE_KEY_DIGEST}};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		struct buf text SCOPED_BUF;

		buf_init(&text, NULL, 0);
		conn_certificate_part(s->conn, parts[i].part, &text);
		policy_put(out, parts[i].name, buf_slice(&text));
	}
}

static void put_login(struct buf *out, const struct smtp_session *s)
{
	policy_put(out, "sasl_method", s->account != 0 ? s->mechanism : SLICE_EMPTY);
	policy_put(out, "sasl_username", s->login);
	policy_put(out, "sasl_sender", SLICE_EMPTY); /* AUTH= of MAIL isn't offered */
	put_certificate(out, s);
	policy_put(out, "encryption_protocol", conn_tls_version(s->conn));
	policy_put(out, "encryption_cipher", conn_tls_cipher(s->conn));
	policy_put_number(out, "encryption_keysize", conn_is_tls(s->conn) ? conn_tls_cipher_bits(s->conn) : 0);
}

/* The same for all questions about one message. */
static void put_instance(struct buf *out, const struct smtp_session *s)
{
	struct slice queue_id = s->transaction.envelope.queue_id;
	struct buf instance SCOPED_BUF;

	buf_init(&instance, NULL, 0);
	buf_printf(&instance, "%llx.%.*s", (unsigned long long)s->env->id, SLICE_ARG(queue_id));
	policy_put(out, "queue_id", queue_id);
	policy_put(out, "instance", buf_slice(&instance));
}

static struct slice request_for(const struct hearing *h, struct policy_service *service)
{
	const struct smtp_session *s = h->session;
	const struct deliver_envelope *envelope = &s->transaction.envelope;
	bool counts = h->stage == POLICY_DATA || h->stage == POLICY_MESSAGE;
	struct buf out;

	buf_init(&out, s->env->command_arena, 0);
	buf_reserve(&out, 1024);
	policy_put(&out, "request", SLICE("smtpd_access_policy"));
	policy_put(&out, "protocol_state", slice_from_cstr(h->state));
	policy_put(&out, "protocol_name", s->is_lmtp ? SLICE("LMTP") : s->is_extended ? SLICE("ESMTP") : SLICE("SMTP"));
	put_client(&out, s);
	policy_put(&out, "sender", envelope->sender.address);
	policy_put(&out, "recipient", h->recipient);
	policy_put_number(&out, "recipient_count", counts ? envelope->recipient_count : 0);
	put_instance(&out, s);
	policy_put_number(&out, "size", h->size);
	policy_put(&out, "etrn_domain", SLICE_EMPTY);
	policy_put(&out, "stress", SLICE_EMPTY);
	put_login(&out, s);
	policy_put(&out, "policy_context", policy_options_of(service)->context);
	policy_put(&out, "mail_version", SLICE("Posthorn"));
	buf_add_byte(&out, '\n');
	return buf_slice(&out);
}

/* ---- what is made of the answer ---- */

static void note(const struct hearing *h, const struct policy_verdict *said, const char *what)
{
	LOG_INFO(h->session->log, "smtp.policy", LOG_STR("id", h->session->transaction.envelope.queue_id),
		 LOG_STR("peer", h->session->peer), LOG_CSTR("action", what), LOG_STR("text", said->text),
		 LOG_STR("to", h->recipient));
}

static void keep_change(struct smtp_session *s, enum envelope_change_kind kind, struct slice address)
{
	struct envelope_change *change = ARENA_NEW(&s->arena, struct envelope_change);

	*change = (struct envelope_change){kind, slice_dup(&s->arena, address), SLICE_EMPTY, NULL};
	*s->filter->last_change = change;
	s->filter->last_change = &change->next;
}

static void keep_field(struct smtp_session *s, struct slice line)
{
	struct filter_line *field = ARENA_NEW(&s->arena, struct filter_line);

	field->text = slice_dup(&s->arena, line);
	field->former = s->filter->prepended;
	s->filter->prepended = field;
}

/* Of a message: not before there is one, nor (a field) when it is over. */
static bool keep(struct hearing *h, const struct policy_verdict *said)
{
	struct filter *filter = h->session->filter;

	if (h->stage == POLICY_CONNECT || h->stage == POLICY_HELO)
		return false;
	switch (said->action) {
	case POLICY_PREPEND:
		if (h->stage == POLICY_MESSAGE)
			return false;
		keep_field(h->session, said->text);
		return true;
	case POLICY_BCC:
		keep_change(h->session, ENVELOPE_ADD_RCPT, said->text);
		return true;
	case POLICY_REDIRECT:
		filter->redirect = slice_dup(&h->session->arena, said->text);
		return true;
	case POLICY_DISCARD:
		filter->is_discarded = true;
		return true;
	case POLICY_HOLD:
		filter_hold(h->session, said->text.len > 0 ? said->text : SLICE("a policy service says so"));
		return true;
	default:
		return false;
	}
}

static struct policy_verdict server_error(void)
{
	return (struct policy_verdict){POLICY_REFUSE, 451, SLICE("4.3.5"), SLICE("Server configuration error")};
}

static const char *action_name(enum policy_action action)
{
	switch (action) {
	case POLICY_PREPEND:
		return "prepend";
	case POLICY_BCC:
		return "bcc";
	case POLICY_REDIRECT:
		return "redirect";
	case POLICY_DISCARD:
		return "discard";
	case POLICY_HOLD:
		return "hold";
	default:
		return "note";
	}
}

/* True: nobody else is to be asked; *refusal.action then says whether it is refused. */
static bool take(struct hearing *h, const struct policy_verdict *said, struct policy_verdict *refusal)
{
	switch (said->action) {
	case POLICY_DUNNO:
		return false;
	case POLICY_OK:
		return true;
	case POLICY_REFUSE:
		*refusal = h->if_reject.action == POLICY_DEFER_IF_REJECT && said->code >= 500 ? h->if_reject : *said;
		refusal->action = POLICY_REFUSE;
		return true;
	case POLICY_DEFER_IF_PERMIT:
		h->if_permit = *said;
		return false;
	case POLICY_DEFER_IF_REJECT:
		h->if_reject = *said;
		return false;
	case POLICY_MISTAKEN:
		LOG_WARNING(h->session->log, "smtp.policy_mistaken", LOG_STR("peer", h->session->peer),
			    LOG_STR("text", said->text));
		*refusal = server_error();
		return true;
	default:
		note(h, said,
		     said->action == POLICY_NOTE || keep(h, said) ? action_name(said->action) : "ignored at this step");
		return said->action == POLICY_DISCARD && h->session->filter->is_discarded;
	}
}

static bool names(struct slice listeners, struct slice name)
{
	while (listeners.len > 0)
		if (slice_eq(slice_cut(&listeners, ' '), name))
			return true;
	return false;
}

/* POLICY_REFUSE, or anything else: go on. */
static struct policy_verdict hear(struct hearing *h)
{
	const struct smtp_context *context = h->session->env->context;
	struct policy_verdict refusal = {.action = POLICY_DUNNO};

	for (size_t i = 0; i < context->policy_count; i++) {
		const struct smtp_policy_service *policy = &context->policies[i];

		if (!(policy_options_of(policy->service)->stages & h->stage) ||
		    !names(policy->listeners, slice_from_cstr(h->session->env->listener->name)))
			continue;
		struct policy_verdict said = policy_ask(policy->service, h->session->env, h->session->env->command_arena,
							request_for(h, policy->service));

		if (take(h, &said, &refusal))
			break;
	}
	if (refusal.action != POLICY_REFUSE && h->if_permit.action == POLICY_DEFER_IF_PERMIT &&
	    !h->session->filter->is_discarded) {
		refusal = h->if_permit;
		refusal.action = POLICY_REFUSE;
	}
	return refusal;
}

/* "<alice@example.org>: Recipient address rejected: Greylisted" */
static struct deliver_verdict in_words(const struct hearing *h, const struct policy_verdict *refusal)
{
	struct slice text = slice_join(h->session->env->command_arena,
				       (const struct slice[]){SLICE("<"), h->about, SLICE(">: "), slice_from_cstr(h->class),
							      SLICE(" rejected: "), refusal->text},
				       6);

	return (struct deliver_verdict){STATUS_REFUSED, refusal->code, refusal->enhanced, text};
}

/* False: it was said. */
static bool go_on(struct hearing *h, enum next *next)
{
	struct smtp_session *s = h->session;
	struct policy_verdict refusal = hear(h);

	if (refusal.action != POLICY_REFUSE)
		return true;
	struct deliver_verdict verdict = in_words(h, &refusal);

	smtp_log_refused(s, verdict.code, verdict.text, h->recipient);
	smtp_answer_verdict(s, &verdict);
	*next = verdict.code == 421 || verdict.code == 521 ? NEXT_CLOSE : NEXT_PARK;
	return false;
}

/* ---- the steps ---- */

static struct hearing hearing_of(struct smtp_session *s, enum policy_stage stage, const char *state, const char *class,
				 struct slice about)
{
	return (struct hearing){.session = s,
				.stage = stage,
				.state = state,
				.class = class,
				.about = about,
				.recipient = SLICE_EMPTY,
				.size = s->transaction.declared_size};
}

bool filter_policy_connect(struct smtp_session *s, enum next *next)
{
	struct hearing h = hearing_of(s, POLICY_CONNECT, "CONNECT", "Client host", s->peer);

	return go_on(&h, next);
}

bool filter_policy_hello(struct smtp_session *s, enum next *next)
{
	struct hearing h = hearing_of(s, POLICY_HELO, s->is_extended ? "EHLO" : "HELO", "Helo command", s->helo);

	return go_on(&h, next);
}

bool filter_policy_sender(struct smtp_session *s, enum next *next)
{
	struct hearing h = hearing_of(s, POLICY_MAIL, "MAIL", "Sender address", s->transaction.envelope.sender.address);

	return go_on(&h, next);
}

bool filter_policy_recipient(struct smtp_session *s, struct slice recipient, enum next *next)
{
	struct hearing h = hearing_of(s, POLICY_RCPT, "RCPT", "Recipient address", recipient);

	h.recipient = recipient;
	return go_on(&h, next);
}

/* With one recipient it is told. */
static struct hearing hearing_of_message(struct smtp_session *s, enum policy_stage stage, const char *state, const char *class)
{
	const struct deliver_envelope *envelope = &s->transaction.envelope;
	struct hearing h = hearing_of(s, stage, state, class, slice_from_cstr(state));

	if (envelope->recipient_count == 1)
		h.recipient = envelope->recipients[0].address;
	return h;
}

bool filter_policy_data(struct smtp_session *s, enum next *next)
{
	struct hearing h = hearing_of_message(s, POLICY_DATA, "DATA", "Data command");

	return go_on(&h, next);
}

bool filter_policy_message(struct smtp_session *s, uint64_t size, bool has_asked_data, struct deliver_verdict *verdict)
{
	struct hearing data = hearing_of_message(s, POLICY_DATA, "DATA", "Data command");
	struct hearing end = hearing_of_message(s, POLICY_MESSAGE, "END-OF-MESSAGE", "End-of-data");
	struct policy_verdict refusal = {.action = POLICY_DUNNO};

	end.size = size;
	if (!has_asked_data)
		refusal = hear(&data);
	*verdict = in_words(&data, &refusal);
	if (refusal.action == POLICY_REFUSE)
		return false;
	refusal = hear(&end);
	*verdict = in_words(&end, &refusal);
	return refusal.action != POLICY_REFUSE;
}

void filter_policy_end(struct smtp_session *s)
{
	struct filter *filter = s->filter;

	filter->changes = NULL;
	filter->last_change = &filter->changes;
	filter->prepended = NULL;
	filter->redirect = SLICE_EMPTY;
	filter->is_held = false;
	filter->held_why = SLICE_EMPTY;
}
