/* XCLIENT and XFORWARD, from those who are trusted to tell (Postfix's XCLIENT_README, XFORWARD_README). After XCLIENT the session is the
 * client's: bans, rates, points, permission to relay and the Received field go by what was said. XFORWARD is for the log only. */
#include "smtp/session.h"

static bool is_listed(const struct smtp_session *s, const struct net_prefix *prefixes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (net_prefix_contains(&prefixes[i], conn_peer(s->conn)))
			return true;
	return false;
}

/* What a proxy told, kept for as long as it holds. */
struct told_client {
	char name[256], login[321], peer[64];
};

static struct slice keep(char *place, size_t room, struct slice text)
{
	text = slice_sub(text, 0, room);
	memcpy(place, text.data, text.len);
	return slice_of(place, text.len);
}

void xclient_begin(struct smtp_session *s)
{
	s->may_xclient = is_listed(s, s->options.xclient_from, s->options.xclient_from_count);
	s->may_xforward = is_listed(s, s->options.xforward_from, s->options.xforward_from_count);
}

/* ---- XCLIENT ---- */

/* Who isn't known must not be taken for who we'd trust: nobody has this address. */
static const struct net_address nobody = {.family = AF_INET};

bool xclient_peer_is_known(const struct smtp_session *s)
{
	return memcmp(conn_peer(s->conn)->bytes, nobody.bytes, sizeof(nobody.bytes)) != 0;
}

static void take_addresses(struct smtp_session *s, const struct client_info *info)
{
	const struct net_address *local = conn_local(s->conn);
	struct net_address peer = *conn_peer(s->conn), here = *local;

	if (info->given & CLIENT_ADDR) {
		peer = info->known & CLIENT_ADDR ? info->address : nobody;
		s->client_name = SLICE_EMPTY;
		s->reverse = SCREEN_REVERSE_ASK;
	}
	if (info->given & CLIENT_PORT)
		peer.port = info->known & CLIENT_PORT ? info->address.port : 0;
	if (info->known & CLIENT_DESTADDR)
		here = info->destination;
	if (info->given & CLIENT_DESTPORT)
		here.port = info->known & CLIENT_DESTPORT ? info->destination.port : 0;
	conn_set_addresses(s->conn, &peer, &here);
	s->peer = keep(s->told->peer, sizeof(s->told->peer), smtp_peer_text(s, s->env->command_arena));
}

static void take_name(struct smtp_session *s, const struct client_info *info)
{
	if (!(info->given & CLIENT_NAME))
		return;
	s->client_name = keep(s->told->name, sizeof(s->told->name), info->name);
	s->reverse = info->known & CLIENT_NAME ? SCREEN_REVERSE_GIVEN
		     : info->name_is_late      ? SCREEN_REVERSE_LATE
					       : SCREEN_REVERSE_NONE;
}

/* REPLY_NONE if all is well. Who is said to have authenticated is somebody here. */
static enum reply_id take_login(struct smtp_session *s, const struct client_info *info)
{
	struct deliver_who who;

	if (!(info->known & CLIENT_LOGIN))
		return REPLY_NONE;
	if (deliver_look_up(s->ipc, s->env->command_arena, info->login, &who) != STATUS_OK)
		return REPLY_AUTH_TEMPORARY;
	if (who.account == 0)
		return REPLY_AUTH_REFUSED;
	s->account = who.account;
	s->login = keep(s->told->login, sizeof(s->told->login), info->login);
	s->mechanism = SLICE("XCLIENT");
	engine_set_user(s->env, s->login);
	return REPLY_NONE;
}

static void forget_client(struct smtp_session *s)
{
	s->state = STATE_START;
	s->is_extended = false;
	s->helo = SLICE_EMPTY;
	s->account = 0;
	s->login = SLICE_EMPTY;
	engine_set_user(s->env, SLICE_EMPTY);
	s->errors = 0;
}

/* With its HELO the client has been greeted already. */
static void take_hello(struct smtp_session *s, const struct client_info *info)
{
	s->is_extended = info->is_extended;
	if (info->known & CLIENT_HELO)
		smtp_take_hello(s, info->helo);
}

enum next cmd_xclient(struct smtp_session *s, struct slice argument)
{
	struct client_info info = {0};
	enum reply_id fault;

	if (!s->may_xclient)
		return smtp_answer(s, REPLY_NOT_TRUSTED);
	fault = client_info_parse(s->env->command_arena, argument, CLIENT_OF_XCLIENT, &info);
	if (fault != REPLY_NONE)
		return smtp_answer(s, fault);
	if (!s->told)
		s->told = ARENA_NEW(s->env->session_arena, struct told_client);
	smtp_transaction_end(s);
	forget_client(s);
	take_addresses(s, &info);
	take_name(s, &info);
	fault = take_login(s, &info);
	/* Whatever becomes of the login: who goes on is the client now, and may what it may. */
	if (!smtp_admit(s))
		return NEXT_CLOSE;
	if (fault != REPLY_NONE)
		return smtp_answer(s, fault);
	smtp_greet(s);
	take_hello(s, &info);
	LOG_DEBUG(s->log, "smtp.xclient", LOG_INT("connection", s->env->id), LOG_STR("peer", s->peer), LOG_STR("name", s->client_name),
		  LOG_STR("helo", s->helo), LOG_STR("login", s->login));
	return NEXT_PARK;
}

/* ---- XFORWARD ---- */

struct slice xforward_text(const struct smtp_session *s, struct arena *arena)
{
	const struct client_info *info = &s->forwarded;
	struct buf out;

	buf_init(&out, arena, 0);
	buf_add(&out, info->name);
	if (info->known & CLIENT_ADDR) {
		buf_add_byte(&out, '[');
		net_address_format(&out, &info->address);
		buf_add_byte(&out, ']');
	}
	if (info->known & CLIENT_HELO)
		buf_printf(&out, " helo=%.*s", SLICE_ARG(info->helo));
	if (info->known & CLIENT_IDENT)
		buf_printf(&out, " id=%.*s", SLICE_ARG(info->ident));
	return slice_trim(buf_slice(&out));
}

/* Goes with the transaction that follows. */
enum next cmd_xforward(struct smtp_session *s, struct slice argument)
{
	enum reply_id fault;

	if (!s->may_xforward)
		return smtp_answer(s, REPLY_NOT_TRUSTED);
	fault = client_info_parse(&s->arena, argument, CLIENT_OF_XFORWARD, &s->forwarded);
	return smtp_answer(s, fault != REPLY_NONE ? fault : REPLY_OK);
}
