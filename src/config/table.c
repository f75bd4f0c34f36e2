#include "config/table.h"

#include "config/check.h"
#include "config/config.h"

#define AT(member)          .offset = offsetof(struct config, member), .size = sizeof(((struct config *)NULL)->member)
#define LIST(member)        AT(member), .count_offset = offsetof(struct config, member##_count)
#define FIELD(type, member) .offset = offsetof(struct type, member), .size = sizeof(((struct type *)NULL)->member)
#define RECORDS(table, type)                                                                       \
	.kind = SETTING_RECORDS, .fields = table, .field_count = sizeof(table) / sizeof(table[0]), \
	.record_size = sizeof(struct type)
#define NUMBER(from, to)     .kind = SETTING_NUMBER, .min = (from), .max = (to), .scale = 1
#define SIZE(unit, from, to) .kind = SETTING_SIZE, .scale = (unit), .min = (from), .max = (to)
#define SECONDS(from, to)    .kind = SETTING_DURATION, .scale = 1000, .min = (from)*UINT64_C(1000), .max = (to)*UINT64_C(1000)
#define DAYS(from, to)       .kind = SETTING_DURATION, .scale = DAY, .min = (from)*DAY, .max = (to)*DAY
#define DAY                  UINT64_C(86400000)
#define KB                   UINT64_C(1024)
#define MB                   (1024 * KB)
#define GB                   (1024 * MB)

/* A row is read better as it stands. */
/* clang-format off */
static const struct setting local_target_fields[] = {
	{"name", "How aliases call it: local:NAME.", .kind = SETTING_TEXT, FIELD(config_local_target, name), .check = check_word,
	 .allowed = "letters, digits and -_."},
	{"user", "The Unix user whose powers it has; never root.", .kind = SETTING_TEXT, FIELD(config_local_target, user), .check = check_user_not_root,
	 .allowed = "a user name"},
	{"to", "\"|COMMAND\", which has the message on standard input; \"/FILE\", an mbox file; \"/FOLDER/\", a Maildir.", .kind = SETTING_TEXT,
	 FIELD(config_local_target, to), .check = check_local_target, .allowed = "|COMMAND, /FILE or /FOLDER/"},
};

static const struct setting listener_fields[] = {
	{"address", "Address and port, as 192.0.2.1:25, [2001:db8::1]:25, or :25 for all addresses; or unix:/PATH for lmtp and local.", .kind = SETTING_TEXT,
	 FIELD(config_listener, address), .check = check_listen_address, .allowed = "ADDRESS:PORT, [IPV6]:PORT, :PORT or unix:/PATH"},
	{"protocol",
	 "What is spoken there; submissions, imaps and pop3s begin with TLS. lmtp takes mail for mailboxes here from other mail servers (on a "
	 "Unix socket, or from smtp.trusted_networks); local takes mail of this machine's programs, on a Unix socket.", .kind = SETTING_CHOICE,
	 FIELD(config_listener, protocol), .allowed = "smtp|submission|submissions|lmtp|local|imap|imaps|pop3|pop3s"},
	{"proxy", "Peers of limits.proxy_from must send a PROXY protocol header (v1 or v2) first.", .kind = SETTING_BOOL,
	 FIELD(config_listener, proxy), .default_text = "false"},
	{"mode", "Permissions of a Unix socket, in octal. Without it: 0666 for local, else 0660.", .kind = SETTING_TEXT,
	 FIELD(config_listener, mode), .check = check_mode, .default_text = "", .allowed = "three or four octal digits"},
	{"group", "The group that a Unix socket belongs to, such as postfix.", .kind = SETTING_TEXT, FIELD(config_listener, group),
	 .check = check_group, .default_text = "", .allowed = "a group name"},
	{"tls", "STARTTLS is offered where there is a certificate, required before mail is taken (not on a public port 25), or off. This and what "
	 "follows is for protocols that take mail.",
	 .kind = SETTING_CHOICE, FIELD(config_listener, tls), .default_text = "offered", .allowed = "offered|required|off"},
	{"auth", "Authentication is required, offered or off. Usual: required for submission and submissions, else off.",
	 .kind = SETTING_CHOICE, FIELD(config_listener, auth), .default_text = "usual", .allowed = "usual|required|offered|off"},
	{"screen", "Whether rates.*, delay.*, screen.* and greylist.* hold for those who come here; bans do always.", .kind = SETTING_BOOL,
	 FIELD(config_listener, screen), .default_text = "true"},
	{"relay", "Whether smtp.trusted_networks may relay here without authentication.", .kind = SETTING_BOOL,
	 FIELD(config_listener, relay), .default_text = "true"},
	{"hostname", "The name that the server gives itself here. Without it: hostname.", .kind = SETTING_TEXT,
	 FIELD(config_listener, hostname), .check = check_listener_hostname, .default_text = "", .allowed = "a host name such as mail.example.org"},
	{"message_size", "The largest message here, if less than limits.message_size; 0: that.", .kind = SETTING_SIZE, .scale = 1, .min = 0,
	 .max = GB, FIELD(config_listener, message_size), .default_text = "0"},
	{"recipients", "Recipients of a message here; 0: limits.recipients.", NUMBER(0, 100000), FIELD(config_listener, recipients),
	 .default_text = "0"},
};

static const struct setting certificate_fields[] = {
	{"certificate", "PEM file with the certificate and its chain.", .kind = SETTING_PATH,
	 FIELD(config_certificate, certificate), .allowed = "a file name"},
	{"key", "PEM file with the private key.", .kind = SETTING_PATH, FIELD(config_certificate, key),
	 .allowed = "a file name"},
};

static const struct setting token_issuer_fields[] = {
	{"issuer", "The provider's name, as its tokens have it in iss: https://id.example.org/realms/mail.", .kind = SETTING_TEXT,
	 FIELD(config_token_issuer, issuer), .allowed = "a text"},
	{"audience", "What its tokens for this server have in aud (often the client id).", .kind = SETTING_TEXT,
	 FIELD(config_token_issuer, audience), .allowed = "a text"},
	{"user_claim", "The claim that holds the account's address.", .kind = SETTING_TEXT, FIELD(config_token_issuer, user_claim),
	 .default_text = "email", .allowed = "a text"},
	{"keys", "File with the provider's public keys (JSON, RFC 7517), as its jwks_uri gives it; read at the start and at a reload.",
	 .kind = SETTING_PATH, FIELD(config_token_issuer, keys), .allowed = "a file name"},
};

#define FILTERED "smtp submission submissions lmtp local"
static const struct setting milter_fields[] = {
	{"address", "Where it listens: unix:/PATH or inet:ADDRESS:PORT.", .kind = SETTING_TEXT, FIELD(config_milter, address),
	 .check = check_program_address, .allowed = "unix:/PATH, inet:ADDRESS:PORT or inet:[IPV6]:PORT"},
	{"default_action", "What becomes of mail while it can't be reached, hangs or fails.", .kind = SETTING_CHOICE,
	 FIELD(config_milter, default_action), .default_text = "tempfail", .allowed = "tempfail|accept|reject|quarantine"},
	{"listeners", "The protocols whose mail it sees, separated by spaces.", .kind = SETTING_TEXT, FIELD(config_milter, listeners),
	 .check = check_filtered_listeners, .default_text = FILTERED, .allowed = "some of " FILTERED},
	{"connect_timeout", "How long it may take to be reached and agreed with.", SECONDS(1, 600),
	 FIELD(config_milter, connect_timeout_s), .default_text = "30s"},
	{"command_timeout", "How long it may take to answer to a command.", SECONDS(1, 600), FIELD(config_milter, command_timeout_s),
	 .default_text = "30s"},
	{"content_timeout", "How long it may take to answer to the end of a message (clients wait 10m).", SECONDS(1, 600),
	 FIELD(config_milter, content_timeout_s), .default_text = "5m"},
};

static const struct setting expiry_fields[] = {
	{"mailbox", "Its name in every account; a name that ends in *: those that begin so; \\Trash or \\Junk: the one of that use.",
	 .kind = SETTING_TEXT, FIELD(config_expiry, mailbox), .check = check_expiring_mailbox,
	 .allowed = "a mailbox's name, NAME*, or a special use such as \\Trash"},
	{"after", "How long a message stays after it was put there.", DAYS(1, 36500), FIELD(config_expiry, after_days)},
};
static const struct setting destination_fields[] = {
	{"domain", "The recipients' domain; .example.org: those below it; or HOST:PORT, as a route or relay.smarthost has it.",
	 .kind = SETTING_TEXT, FIELD(config_destination, domain), .check = check_destination,
	 .allowed = "a domain, .DOMAIN or HOST:PORT"},
	{"connections", "Connections at the same time; 0: relay.concurrency_per_hop.", NUMBER(0, 1000), FIELD(config_destination, connections),
	 .default_text = "0"},
	{"messages_per_minute", "How many messages go there in a minute, evenly; 0: no limit.", NUMBER(0, 60000),
	 FIELD(config_destination, messages_per_minute), .default_text = "0"},
	{"delay", "Time between two messages; the longer one of it and what messages_per_minute leaves counts.", SECONDS(0, 3600),
	 FIELD(config_destination, delay_s), .default_text = "0s"},
	{"source_address", "Local address that connections to it come from. Without it: relay.source_address.", .kind = SETTING_TEXT,
	 FIELD(config_destination, source_address), .check = check_source_address, .default_text = "",
	 .allowed = "an IP address of this machine"},
	{"source_address_ipv6", "The same for connections over IPv6, where source_address is an IPv4 address.", .kind = SETTING_TEXT,
	 FIELD(config_destination, source_address_ipv6), .check = check_source_address, .default_text = "",
	 .allowed = "an IP address of this machine"},
	{"hello_name", "The name given to it (EHLO). Without it: relay.hello_name.", .kind = SETTING_TEXT,
	 FIELD(config_destination, hello_name), .check = check_listener_hostname, .default_text = "",
	 .allowed = "a host name such as mail.example.org"},
};

static const struct setting converter_fields[] = {
	{"types",
	 "What it reads, separated by spaces: content types, and file extensions (.pdf), which count where the content type is another one of "
	 "application/.",
	 .kind = SETTING_TEXT, FIELD(config_converter, types), .check = check_converter_types,
	 .allowed = "types and extensions such as application/pdf .pdf"},
	{"command",
	 "The program's full path and its arguments, separated by spaces: it has the attachment on standard input (as a file /dev/stdin, if "
	 "it needs one) and writes UTF-8 to standard output. No shell, no other process. Or internal:office, internal:rtf, which need no program.",
	 .kind = SETTING_TEXT, FIELD(config_converter, command), .check = check_converter_command,
	 .allowed = "/PATH ARGUMENT..., internal:office or internal:rtf"},
};

#define STAGES "connect helo mail rcpt data end-of-message"
static const struct setting policy_fields[] = {
	{"address", "Where it listens: unix:/PATH or inet:ADDRESS:PORT.", .kind = SETTING_TEXT, FIELD(config_policy, address),
	 .check = check_program_address, .allowed = "unix:/PATH, inet:ADDRESS:PORT or inet:[IPV6]:PORT"},
	{"stages", "When it is asked, separated by spaces.", .kind = SETTING_TEXT, FIELD(config_policy, stages),
	 .check = check_policy_stages, .default_text = "rcpt", .allowed = "some of " STAGES},
	{"listeners", "The protocols whose mail it is asked about, separated by spaces.", .kind = SETTING_TEXT,
	 FIELD(config_policy, listeners), .check = check_filtered_listeners, .default_text = "smtp", .allowed = "some of " FILTERED},
	{"default_action", "What counts as its answer while it can't be reached or gives none, such as DUNNO.", .kind = SETTING_TEXT,
	 FIELD(config_policy, default_action), .default_text = "451 4.3.5 Server configuration problem", .allowed = "an action"},
	{"timeout", "How long it may take to answer.", SECONDS(1, 600), FIELD(config_policy, timeout_s), .default_text = "100s"},
	{"context", "A text that it is told as policy_context.", .kind = SETTING_TEXT, FIELD(config_policy, context),
	 .default_text = "", .allowed = "a text"},
};

const struct setting settings[] = {
	{"hostname",
	 "The name this server gives itself, in greetings and Received fields; its address must resolve back to it. "
	 "Without it the system's own name is taken.",
	 .kind = SETTING_TEXT, AT(hostname), .check = check_hostname, .allowed = "a host name such as mail.example.org"},
	{"data", "The folder of store, credentials and run-time sockets.", .kind = SETTING_PATH, AT(data),
	 .default_text = "/var/lib/posthorn", .allowed = "a folder"},
	{"user", "The user whose powers the roles have when posthorn is started by root.", .kind = SETTING_TEXT, AT(user),
	 .check = check_user, .default_text = "posthorn", .allowed = "a user name"},
	{"listeners",
	 "Where the server listens. Without it: smtp on :25, submission on :587, submissions on :465, imap on :143, "
	 "imaps on :993, pop3 on :110, pop3s on :995, local on unix:/run/posthorn/local.sock.",
	 RECORDS(listener_fields, config_listener), LIST(listeners)},

	{"tls.certificates", "Certificates with their keys, chosen by the host names they are for; the first is the default.",
	 RECORDS(certificate_fields, config_certificate), LIST(tls.certificates)},

	{"tls.client_authorities",
	 "PEM file of authorities whose certificates clients may show in place of a password (SASL EXTERNAL): the account is the mail "
	 "address that the certificate names. Asked for on submission, IMAP and POP3. Without it no client is asked.",
	 .kind = SETTING_PATH, AT(tls.client_authorities), .allowed = "a file name"},

	{"store.url", "Where everything is kept: sqlite (files in the data folder), or postgresql://USER@HOST/DATABASE.",
	 .kind = SETTING_TEXT, AT(store.url), .check = check_store_url, .default_text = "sqlite",
	 .allowed = "sqlite or postgresql://USER@HOST/DATABASE"},
	{"store.connections", "Database connections that each role may hold.", NUMBER(1, 1000), AT(store.connections),
	 .default_text = "16"},
	{"store.compress_from", "Messages of this size and more are compressed.", SIZE(1, 0, GB), AT(store.compress_from),
	 .default_text = "8KB"},

	{"log.level", "What is logged: this level and the graver ones.", .kind = SETTING_CHOICE, AT(log.level),
	 .default_text = "info", .allowed = "debug|info|warning|error"},
	{"log.format", "The form of a log line.", .kind = SETTING_CHOICE, AT(log.format), .default_text = "logfmt",
	 .allowed = "logfmt|json"},
	{"search.attachments",
	 "SEARCH's TEXT and BODY look into the text of attachments too, as far as search.converters can read them.", .kind = SETTING_BOOL,
	 AT(search.attachments), .default_text = "false"},
	{"search.converters",
	 "What reads attachments; those whose program isn't installed are left out. Without this setting: pdftotext (PDF), internal:office "
	 "(docx, xlsx, pptx, odt, ods, odp, epub and their kin), internal:rtf, catdoc, xls2csv and catppt (doc, xls, ppt). Several machines on one "
	 "store need the same ones.",
	 RECORDS(converter_fields, config_converter), LIST(search.converters)},
	{"search.converter_time", "A converter that takes longer is ended, and the attachment counts as one without text.", SECONDS(1, 600),
	 AT(search.converter_time_s), .default_text = "20s"},
	{"search.converter_memory", "Memory that a converter may have.", SIZE(1, 16 * MB, 64 * GB), AT(search.converter_memory),
	 .default_text = "512MB"},
	{"search.converters_at_once", "How many run at the same time.", NUMBER(1, 64), AT(search.converters_at_once), .default_text = "2"},
	{"search.attachment_size", "Larger attachments count as such without text.", SIZE(1, KB, GB), AT(search.attachment_size),
	 .default_text = "20MB"},
	{"search.attachment_text", "What stands behind so much text of an attachment isn't found.", SIZE(1, KB, 64 * MB),
	 AT(search.attachment_text), .default_text = "1MB"},
	{"search.wait",
	 "How long a SEARCH waits for attachments that nobody has read yet; then it is refused for the time being, never answered without them.",
	 SECONDS(1, 3600), AT(search.wait_s), .default_text = "30s"},

	{"local.domains",
	 "Domains whose local parts are Unix users as well, behind accounts and aliases: mail for them goes into local.mailbox, or where their "
	 ".forward says. Without this and local.targets nothing is delivered outside the store.",
	 .kind = SETTING_LIST, LIST(local.domains), .check = check_hostname, .allowed = "domains"},
	{"local.targets", "Commands, files and Maildirs that aliases may lead to, as: posthorn alias add rt@example.org local:NAME.",
	 RECORDS(local_target_fields, config_local_target), LIST(local.targets)},
	{"local.mailbox",
	 "Where mail for a Unix user goes: ~/Maildir/, ~/mbox, or /var/mail/%u (%u: the user's name); what ends with / is a Maildir.",
	 .kind = SETTING_TEXT, AT(local.mailbox), .check = check_local_mailbox, .default_text = "~/Maildir/", .allowed = "~/PATH or /PATH with %u"},
	{"local.mailbox_command", "A command that gets a Unix user's mail instead, run as that user: /usr/bin/procmail, for example.",
	 .kind = SETTING_TEXT, AT(local.mailbox_command)},
	{"local.forward", "The file .forward in a Unix user's home folder says where mail for that user goes.", .kind = SETTING_BOOL,
	 AT(local.forward), .default_text = "true"},
	{"local.minimum_uid", "Users with a smaller number have no mailbox; mail for root is an alias, always.", NUMBER(1, 4294967293),
	 AT(local.minimum_uid), .default_text = "1000"},
	{"local.time_limit", "A command that runs for longer is ended, and the mail tried again.", SECONDS(1, 86400), AT(local.time_limit_s),
	 .default_text = "5m"},
	{"metrics.address",
	 "Where Prometheus may fetch the numbers of all roles (GET /metrics), without a password: an address that only it can reach, or a "
	 "Unix socket. Without it nothing is counted.",
	 .kind = SETTING_TEXT, AT(metrics.address), .check = check_metrics_address,
	 .allowed = "ADDRESS:PORT, such as 127.0.0.1:9120, or unix:/PATH"},

	{"limits.message_size", "The largest message that is taken.", SIZE(1, KB, GB), AT(limits.message_size),
	 .default_text = "50MB"},
	{"limits.message_memory",
	 "The memory that messages on their way in may take in each role that takes them (smtp, imap), all together; what is larger than 64 KB "
	 "and finds no room is to be sent again later. 0: a quarter of the machine's memory.",
	 SIZE(1, 0, UINT64_C(1024) * GB), AT(limits.message_memory), .default_text = "0"},
	{"limits.recipients", "Recipients that one message may have (RFC 5321 asks for at least 100).", NUMBER(1, 100000),
	 AT(limits.recipients), .default_text = "1000"},
	{"limits.connections", "Connections that each role holds at the same time.", NUMBER(1, 1000000), AT(limits.connections),
	 .default_text = "20000"},
	{"limits.connections_per_address", "Connections that one IPv4 address or IPv6 /64 network may hold.",
	 NUMBER(1, 1000000), AT(limits.connections_per_address), .default_text = "200"},
	{"limits.sessions_per_account", "IMAP and POP3 sessions that one account may have at the same time; 0: any number.",
	 NUMBER(0, 1000000), AT(limits.sessions_per_account), .default_text = "1000"},
	{"limits.threads", "Commands that each role works on at the same time.", NUMBER(1, 4096), AT(limits.threads),
	 .default_text = "64"},
	{"limits.exempt", "Networks to which limits.connections_per_address does not apply.", .kind = SETTING_LIST,
	 LIST(limits.exempt), .check = check_network, .default_text = "127.0.0.0/8, ::1",
	 .allowed = "networks such as 192.0.2.0/24 or 2001:db8::/32"},
	{"limits.proxy_from", "Proxies whose PROXY protocol header is required and believed.", .kind = SETTING_LIST,
	 LIST(limits.proxy_from), .check = check_network, .allowed = "networks such as 192.0.2.0/24 or 2001:db8::/32"},
	{"limits.received_hops", "A message with more Received fields than this goes in a loop and is refused.",
	 NUMBER(5, 1000), AT(limits.received_hops), .default_text = "100"},
	{"limits.command_timeout", "How long a peer may keep the server waiting inside a command (RFC 5321 asks for 5m).",
	 SECONDS(5, 3600), AT(limits.command_timeout_s), .default_text = "5m"},
	{"limits.session_timeout", "How long an SMTP session may last in all.", SECONDS(60, 604800),
	 AT(limits.session_timeout_s), .default_text = "2h"},
	{"limits.quota_notice", "Percentage of a quota from which on the account is told by mail that it is nearly full; 0: it isn't.", NUMBER(0, 100),
	 AT(limits.quota_notice), .default_text = "90"},
	{"limits.idle_timeout", "How long an IMAP session may be idle (RFC 9051 asks for at least 30m).", SECONDS(60, 604800),
	 AT(limits.idle_timeout_s), .default_text = "30m"},

	{"smtp.trusted_networks", "Networks whose mail is relayed without authentication.", .kind = SETTING_LIST,
	 LIST(smtp.trusted_networks), .check = check_network, .allowed = "networks such as 192.0.2.0/24 or 2001:db8::/32"},
	{"smtp.xclient_from",
	 "Proxies that may tell by XCLIENT which client they speak for (nginx, or a Postfix in front): bans, rates, "
	 "relaying and the Received field go by that client then.", .kind = SETTING_LIST,
	 LIST(smtp.xclient_from), .check = check_network, .allowed = "networks such as 192.0.2.0/24 or 2001:db8::/32"},
	{"smtp.xforward_from", "Content filters and relays that may tell by XFORWARD where a message came from, for log and trace.",
	 .kind = SETTING_LIST, LIST(smtp.xforward_from), .check = check_network,
	 .allowed = "networks such as 192.0.2.0/24 or 2001:db8::/32"},
	{"smtp.recipient_separator",
	 "The character between user and detail: user+detail@example.org is delivered to "
	 "user@example.org. Empty: no such addresses.",
	 .kind = SETTING_TEXT, AT(smtp.recipient_separator), .check = check_separator, .default_text = "+",
	 .allowed = "one of + - _ = . or nothing"},
	{"smtp.detail_folders",
	 "Whether the detail names a folder: user+folder@example.org comes into that mailbox, if there is one. permitted: if the sender has the "
	 "right p on it (`posthorn mailbox share`; anyone: strangers too); all: whoever sends; off: all mail comes into INBOX.",
	 .kind = SETTING_CHOICE, AT(smtp.detail_folders), .default_text = "off", .allowed = "off|permitted|all"},
	{"smtp.vrfy", "Whom VRFY tells which addresses exist; trusted: trusted networks, and who has authenticated.", .kind = SETTING_CHOICE,
	 AT(smtp.vrfy), .default_text = "never", .allowed = "never|trusted|always"},
	{"smtp.expn", "Whom EXPN tells where an alias leads; the same choices.", .kind = SETTING_CHOICE, AT(smtp.expn),
	 .default_text = "never", .allowed = "never|trusted|always"},
	{"smtp.etrn",
	 "Who may ask for what waits for a domain that is taken here (ETRN, RFC 1985): it is tried at once, on its usual way; the same choices.",
	 .kind = SETTING_CHOICE, AT(smtp.etrn), .default_text = "never", .allowed = "never|trusted|always"},
	{"smtp.origin",
	 "The domain of addresses without one, from programs of this machine (sendmail -f root, mail to root). Without it: hostname.",
	 .kind = SETTING_TEXT, AT(smtp.origin), .check = check_hostname, .allowed = "a domain name such as example.org"},
	{"smtp.local_senders",
	 "Which senders the users of this machine may use on local listeners, as USER:SENDER; USER is a user's name or *, SENDER an "
	 "address, @DOMAIN or *. What no entry allows is refused.",
	 .kind = SETTING_LIST, LIST(smtp.local_senders), .check = check_local_sender, .default_text = "*:*",
	 .allowed = "USER:ADDRESS, USER:@DOMAIN or USER:*"},
	{"smtp.milters",
	 "Programs that look at mail, mark, change or refuse it while it comes in (milter protocol 2 to 6: opendkim, rspamd, clamav-milter, "
	 "...), in this order.",
	 RECORDS(milter_fields, config_milter), LIST(smtp.milters)},
	{"smtp.policy_services",
	 "Programs that are asked by Postfix's policy delegation protocol what may come in (postgrey, policyd-spf, ...), in this order, before "
	 "milters.",
	 RECORDS(policy_fields, config_policy), LIST(smtp.policy_services)},
	{"smtp.resolve_clients",
	 "Look up the names of clients, for milters and policy services; without it they are told addresses only.",
	 .kind = SETTING_BOOL, AT(smtp.resolve_clients), .default_text = "false"},
	{"smtp.strict_pipelining",
	 "Strangers who go on before the answer to EHLO, HELO or DATA has come, or to anything after HELO, are refused: mail servers wait there "
	 "(RFC 2920).", .kind = SETTING_BOOL, AT(smtp.strict_pipelining), .default_text = "true"},
	{"smtp.require_sender_match", "A submitted message's sender must be the user's own address or alias.",
	 .kind = SETTING_BOOL, AT(smtp.require_sender_match), .default_text = "true"},

	{"smtp.require_from_match",
	 "The addresses in the From field of a submitted message must be the user's own too, or such as account may-send gave him.",
	 .kind = SETTING_BOOL, AT(smtp.require_from_match), .default_text = "false"},
	{"smtp.deliver_by_min",
	 "The shortest time within which the return of an undelivered message may be demanded (DELIVERBY, RFC 2852).", SECONDS(1, 86400),
	 AT(smtp.deliver_by_min_s), .default_text = "1m"},
	{"smtp.priority",
	 "Who may give a message a priority above 0 (MT-PRIORITY, RFC 6710), so that it goes before others: trusted networks, or users too.",
	 .kind = SETTING_CHOICE, AT(smtp.priority), .default_text = "users", .allowed = "trusted|users"},
	{"smtp.future_release",
	 "How far ahead a user may schedule a message with FUTURERELEASE (RFC 4865) of submission; 0s: it is not offered.", SECONDS(0, 31536000),
	 AT(smtp.future_release_s), .default_text = "30d"},

	{"relay.smarthost",
	 "Host that all outgoing mail is handed to, as relay.example.net:587. Without it mail goes to each "
	 "domain's own mail exchangers.",
	 .kind = SETTING_TEXT, AT(relay.smarthost), .check = check_smarthost, .allowed = "HOST or HOST:PORT"},
	{"relay.smarthost_user", "User name for the smarthost.", .kind = SETTING_TEXT, AT(relay.smarthost_user)},
	{"relay.smarthost_password_file", "File that holds the password for the smarthost.", .kind = SETTING_PATH,
	 AT(relay.smarthost_password_file), .allowed = "a file name"},
	{"relay.smarthost_tls",
	 "TLS towards the smarthost: required (certificate verified), opportunistic (when offered, not "
	 "verified), or none.",
	 .kind = SETTING_CHOICE, AT(relay.smarthost_tls), .default_text = "required", .allowed = "opportunistic|required|none"},
	{"relay.concurrency", "Outgoing connections at the same time.", NUMBER(1, 10000), AT(relay.concurrency),
	 .default_text = "50"},
	{"relay.concurrency_per_hop", "Outgoing connections to one domain at the same time.", NUMBER(1, 1000),
	 AT(relay.concurrency_per_hop), .default_text = "10"},
	{"relay.concurrency_per_sender",
	 "Outgoing connections for mail of one sender at the same time. 0: no fixed limit; a sender has at most four times as many as are free.",
	 NUMBER(0, 10000), AT(relay.concurrency_per_sender), .default_text = "0"},
	{"relay.delivery_delay", "Time between two messages to the same destination.", SECONDS(0, 3600), AT(relay.delivery_delay_s),
	 .default_text = "0s"},
	{"relay.destinations", "Destinations that have limits, a source address or a name for EHLO of their own; the first entry that fits counts.",
	 RECORDS(destination_fields, config_destination), LIST(relay.destinations)},
	{"relay.messages_per_connection", "Messages that are sent over one connection.", NUMBER(1, 100000),
	 AT(relay.messages_per_connection), .default_text = "100"},
	{"relay.retry", "Delays before a message is tried again; the last one repeats.", .kind = SETTING_TEXT, AT(relay.retry),
	 .check = check_durations, .default_text = "5m,10m,20m,40m,1h,2h,4h", .allowed = "durations such as 5m,10m,1h"},
	{"relay.expire", "After this time a message that can't be sent is returned to its sender.", .kind = SETTING_TEXT,
	 AT(relay.expire), .check = check_duration, .default_text = "5d", .allowed = "a duration such as 30s, 5m, 4h or 5d"},
	{"relay.warn_after", "After this time the sender is told that the message is late.", .kind = SETTING_TEXT,
	 AT(relay.warn_after), .check = check_duration, .default_text = "4h",
	 .allowed = "a duration such as 30s, 5m, 4h or 5d"},
	{"relay.connect_timeout", "How long connecting to one address of a host may take.", SECONDS(1, 3600), AT(relay.connect_timeout_s),
	 .default_text = "30s"},
	{"relay.command_timeout", "How long a host may take for its greeting, and for its answer to each command.", SECONDS(1, 3600),
	 AT(relay.command_timeout_s), .default_text = "5m"},
	{"relay.data_timeout", "How long a host may take for its answer to DATA, and for each piece of a message.", SECONDS(1, 3600),
	 AT(relay.data_timeout_s), .default_text = "3m"},
	{"relay.end_timeout",
	 "How long a host may take for its answer to a whole message. Too short a time makes duplicates (RFC 5321 section 4.5.3.2.6).",
	 SECONDS(1, 3600), AT(relay.end_timeout_s), .default_text = "10m"},
	{"relay.double_bounce",
	 "Whom notifications go to that can't be delivered themselves, or whose addressee there isn't, as postmaster@example.org. Without it they "
	 "are dropped, and logged.",
	 .kind = SETTING_TEXT, AT(relay.double_bounce), .check = check_trap, .allowed = "an address such as postmaster@example.org"},
	{"relay.srs",
	 "Mail that an alias leads to another host goes out under a sender of the alias's domain (SRS), so that SPF holds; "
	 "bounces find their way back.",
	 .kind = SETTING_BOOL, AT(relay.srs), .default_text = "true"},
	{"relay.source_address", "Local address that outgoing connections come from.", .kind = SETTING_TEXT,
	 AT(relay.source_address), .check = check_ip_address, .allowed = "an IP address of this machine"},
	{"relay.source_address_ipv6", "The same for connections over IPv6, where relay.source_address is an IPv4 address.",
	 .kind = SETTING_TEXT, AT(relay.source_address_ipv6), .check = check_ip_address,
	 .allowed = "an IP address of this machine"},
	{"relay.hello_name",
	 "The name given to other hosts (EHLO), such as that of relay.source_address's reverse entry. Without it: hostname.",
	 .kind = SETTING_TEXT, AT(relay.hello_name), .check = check_hostname, .allowed = "a host name such as mail.example.org"},
	{"relay.ip_versions", "Addresses of other hosts that are used.", .kind = SETTING_CHOICE, AT(relay.ip_versions),
	 .default_text = "both", .allowed = "both|ipv4|ipv6"},
	{"relay.ca_file",
	 "Certificates (PEM) of the authorities that are trusted where a verified certificate is asked for. Without it: the "
	 "system's.",
	 .kind = SETTING_PATH, AT(relay.ca_file), .allowed = "a file name"},
	{"relay.tls_reports",
	 "Once a day each domain that asks for it (a TXT record at _smtp._tls.DOMAIN) is told how TLS with its mail hosts went (RFC 8460).",
	 .kind = SETTING_BOOL, AT(relay.tls_reports), .default_text = "true"},
	{"relay.tls_reports_from", "The sender of those reports, and whom to ask about them. Without it: postmaster@ and hostname.",
	 .kind = SETTING_TEXT, AT(relay.tls_reports_from), .check = check_address, .allowed = "an address"},
	{"relay.tls_reports_spread", "They are sent at a random time so long after midnight (UTC).", SECONDS(0, 72000),
	 AT(relay.tls_reports_spread_s), .default_text = "4h"},
	{"relay.sts_port", "The port of the web servers that hold MTA-STS policies, for tests.", .kind = SETTING_TEXT,
	 AT(relay.sts_port), .check = check_port, .default_text = "443", .allowed = "1 to 65535"},
	{"relay.port", "The port of mail exchangers, for tests and odd networks.", .kind = SETTING_TEXT, AT(relay.port),
	 .check = check_port, .default_text = "25", .allowed = "1 to 65535"},

	{"dns.forwarders", "Resolvers to ask, as 192.0.2.53 or 127.0.0.1@5353. Without it: those of /etc/resolv.conf.",
	 .kind = SETTING_LIST, LIST(dns.forwarders), .check = check_forwarder, .allowed = "ADDRESS or ADDRESS@PORT"},
	{"dns.insecure_domains", "Private domains whose answers are not validated by DNSSEC.", .kind = SETTING_LIST,
	 LIST(dns.insecure_domains), .check = check_hostname, .allowed = "domain names"},
	{"dns.trust_anchor_file", "File with the DNSSEC trust anchor in zone-file form. Without it: the system's.",
	 .kind = SETTING_PATH, AT(dns.trust_anchor_file), .allowed = "a file name"},

	{"auth.plaintext", "Where passwords are taken on connections without TLS.", .kind = SETTING_CHOICE, AT(auth.plaintext),
	 .default_text = "loopback", .allowed = "never|loopback|always"},
	{"auth.check_threads", "Passwords checked at the same time; each takes auth.argon2_memory.", NUMBER(1, 256),
	 AT(auth.check_threads), .default_text = "2"},
	{"auth.remember", "How long a verified password is remembered in memory, as a keyed hash.", SECONDS(1, 86400),
	 AT(auth.remember_s), .default_text = "5m"},
	{"auth.lockout_failures", "Wrong passwords after which a user is locked out for the peer that sent them.",
	 NUMBER(1, 1000), AT(auth.lockout_failures), .default_text = "10"},
	{"auth.lockout", "How long such a lock-out lasts.", SECONDS(1, 604800), AT(auth.lockout_s), .default_text = "10m"},
	{"auth.argon2_memory", "Memory of one Argon2id hash of new passwords.", SIZE(KB, 64 * KB, 256 * MB),
	 AT(auth.argon2_memory_kb), .default_text = "19MB"},
	{"auth.argon2_passes", "Passes of Argon2id over that memory.", NUMBER(1, 100), AT(auth.argon2_passes),
	 .default_text = "2"},
	{"auth.scram_iterations", "Iterations of SCRAM keys (RFC 7677 asks for at least 4096).", NUMBER(4096, 10000000),
	 AT(auth.scram_iterations), .default_text = "15000"},
	{"auth.token_issuers",
	 "Identity providers whose tokens (JSON Web Tokens) are taken in place of a password by OAUTHBEARER and XOAUTH2. Without it "
	 "neither is offered.", RECORDS(token_issuer_fields, config_token_issuer), LIST(auth.token_issuers)},

	{"rates.connections", "Connections that an address may make in a minute; 0: any number, here and below.", NUMBER(0, 1000000),
	 AT(rates.connections), .default_text = "300"},
	{"rates.messages", "Messages that an address may begin in a minute, if it doesn't authenticate.", NUMBER(0, 1000000),
	 AT(rates.messages), .default_text = "600"},
	{"rates.recipients", "Recipients that it may name in a minute.", NUMBER(0, 1000000), AT(rates.recipients),
	 .default_text = "6000"},
	{"rates.failures", "Commands of it that may fail in a minute.", NUMBER(0, 1000000), AT(rates.failures),
	 .default_text = "100"},
	{"rates.network_factor", "An IPv4 /24 or IPv6 /64 network may do so many times what one of its addresses may.",
	 NUMBER(1, 1000), AT(rates.network_factor), .default_text = "8"},
	{"rates.domain_messages", "Messages in a minute from senders of one domain, if they don't authenticate.",
	 NUMBER(0, 1000000), AT(rates.domain_messages), .default_text = "0"},
	{"rates.account_messages", "Messages in a minute that one account may submit.", NUMBER(0, 1000000),
	 AT(rates.account_messages), .default_text = "0"},
	{"rates.shared", "Nodes on one PostgreSQL store count these rates together; each tells the others about once a second.",
	 .kind = SETTING_BOOL, AT(rates.shared), .default_text = "true"},
	{"rates.exempt", "Networks to which the rates of addresses do not apply, beside smtp.trusted_networks.", .kind = SETTING_LIST,
	 LIST(rates.exempt), .check = check_network, .default_text = "127.0.0.0/8, ::1",
	 .allowed = "networks such as 192.0.2.0/24 or 2001:db8::/32"},

	{"delay.greeting",
	 "How long a stranger on an smtp listener waits for the greeting; who speaks before it is a program that sends spam, and is refused. "
	 "Nobody waits from trusted networks and those of rates.exempt. 0s: nobody waits.",
	 SECONDS(0, 30), AT(delay.greeting_s), .default_text = "3s"},
	{"delay.remember", "Whoever has waited so is no stranger for this time.", SECONDS(1, 2592000), AT(delay.remember_s),
	 .default_text = "1d"},
	{"delay.free_failures", "Commands that may fail in a session of a stranger before answers to the next ones are held back.",
	 NUMBER(0, 1000), AT(delay.free_failures), .default_text = "3"},
	{"delay.step", "How much longer each further failure waits for its answer than the one before.", SECONDS(1, 60), AT(delay.step_s),
	 .default_text = "1s"},
	{"delay.longest", "The longest that an answer is held back; 0s: none is.", SECONDS(0, 120), AT(delay.longest_s),
	 .default_text = "15s"},

	{"sending.messages_per_hour",
	 "Messages that one account may submit in an hour, on all nodes together; sending.alert_to is told when one wants more. "
	 "0: any number.",
	 NUMBER(0, 100000000), AT(sending.messages_per_hour), .default_text = "0"},
	{"sending.recipients_per_hour", "The same for the recipients of these messages.", NUMBER(0, 100000000),
	 AT(sending.recipients_per_hour), .default_text = "0"},
	{"sending.undo",
	 "How long what an account submits waits in the queue, for recipients here too, so that it can be taken back (posthorn queue "
	 "remove). 0s: it goes at once.",
	 SECONDS(0, 3600), AT(sending.undo_s), .default_text = "0s"},

	{"sending.alert_to",
	 "Who gets a letter when an account wants to send more than it may, at most one a day for each: postmaster (of hostname, or of the first "
	 "domain that has one) or an address anywhere.", .kind = SETTING_TEXT, AT(sending.alert_to), .check = check_alert_to,
	 .default_text = "postmaster", .allowed = "postmaster or an address such as admin@example.org"},

	{"ban.first",
	 "How long an address is banned that has been locked out for wrong passwords or has asked for too many unknown "
	 "recipients; each further time twice as long. 0s: nobody is banned but by hand.",
	 SECONDS(0, 31536000), AT(ban.first_s), .default_text = "10m"},
	{"ban.longest", "The longest ban.", SECONDS(1, 31536000), AT(ban.longest_s), .default_text = "7d"},
	{"ban.remember", "How long after its end a ban makes the next one longer.", DAYS(1, 3650), AT(ban.remember_days),
	 .default_text = "7d"},
	{"ban.unknown_recipients", "Unknown recipients in ten minutes for which an address is banned; 0: none.",
	 NUMBER(0, 1000000), AT(ban.unknown_recipients), .default_text = "50"},
	{"ban.early_talkers", "Times in ten minutes that an address may speak before the greeting, or before another answer that it must wait for; then it is banned. 0: any number.",
	 NUMBER(0, 1000000), AT(ban.early_talkers), .default_text = "3"},
	{"ban.traps",
	 "Spam traps: addresses that nobody uses and no person is told of, on web pages for instance. Who writes to one is banned, and is told "
	 "that there is no such user.",
	 .kind = SETTING_LIST, LIST(ban.traps), .check = check_trap, .allowed = "addresses such as old.user@example.org"},
	{"ban.exempt", "Networks that are never banned, beside smtp.trusted_networks.", .kind = SETTING_LIST, LIST(ban.exempt),
	 .check = check_network, .default_text = "127.0.0.0/8, ::1",
	 .allowed = "networks such as 192.0.2.0/24 or 2001:db8::/32"},

	{"greylist.enabled",
	 "Mail from an unknown network, sender and recipient is put off once (RFC 6647). Not asked of trusted networks and users.",
	 .kind = SETTING_BOOL, AT(greylist.enabled), .default_text = "false"},
	{"greylist.wait", "How long it is put off; who comes earlier waits on.", SECONDS(1, 86400), AT(greylist.wait_s),
	 .default_text = "3m"},
	{"greylist.window", "Within this time it must come again.", SECONDS(60, 2592000), AT(greylist.window_s),
	 .default_text = "2d"},
	{"greylist.remember", "How long what has come again stays known after it was seen last.", DAYS(1, 3650),
	 AT(greylist.remember_days), .default_text = "35d"},
	{"greylist.trust_after",
	 "A network of which so many different mails have come again is put off no more; 0: each mail is.", NUMBER(0, 1000000),
	 AT(greylist.trust_after), .default_text = "5"},

	{"screen.lists",
	 "Block lists and allow lists in the DNS (RFC 5782) that are asked for the address of who brings mail to an smtp listener, with "
	 "their points: list.example, list.example*3, list.example=127.0.0.2-11*3 (these answers only), allow.example*-2.",
	 .kind = SETTING_LIST, LIST(screen.lists), .check = check_dns_list, .allowed = "ZONE[=127.A.B.C[-D]][*POINTS]"},
	{"screen.no_reverse",
	 "Points for an address without a reverse name that leads back to it (iprev, RFC 8601); 0: not asked.", NUMBER(0, 100),
	 AT(screen.no_reverse), .default_text = "0"},
	{"screen.bad_hello", "Points for who greets with a name that has no address, or with ours; 0: not asked.", NUMBER(0, 100),
	 AT(screen.bad_hello), .default_text = "0"},
	{"screen.no_pointer", "Points in place of screen.no_reverse's for an address without any reverse name; 0: the same as that.",
	 NUMBER(0, 100), AT(screen.no_pointer), .default_text = "0"},
	{"screen.malformed_hello",
	 "Points in place of screen.bad_hello's for who greets with what isn't a host name in full or an address literal; 0: the same as that.",
	 NUMBER(0, 100), AT(screen.malformed_hello), .default_text = "0"},
	{"screen.unknown_sender",
	 "What becomes of mail whose sender's domain has neither MX nor address, or says that it has no mail (null MX): off (it is taken), defer "
	 "(450), refuse (550).",
	 .kind = SETTING_CHOICE, AT(screen.unknown_sender), .default_text = "off", .allowed = "off|defer|refuse"},
	{"screen.greylist_at", "Points from which mail is put off as greylist.* says; 0: never, here and below.", NUMBER(0, 1000),
	 AT(screen.greylist_at), .default_text = "0"},
	{"screen.tempfail_at", "Points from which recipients are refused for now (450).", NUMBER(0, 1000), AT(screen.tempfail_at),
	 .default_text = "0"},
	{"screen.reject_at", "Points from which recipients are refused (550).", NUMBER(0, 1000), AT(screen.reject_at),
	 .default_text = "0"},
	{"screen.timeout", "How long the answers of the DNS are waited for; what isn't known by then counts nothing.",
	 SECONDS(1, 60), AT(screen.timeout_s), .default_text = "5s"},

	{"imap.comment", "A note about the server that mail programs can show (RFC 5464: /shared/comment).", .kind = SETTING_TEXT,
	 AT(imap.comment), .allowed = "a text"},
	{"imap.admin", "How to reach who runs the server, for mail programs (RFC 5464: /shared/admin).", .kind = SETTING_TEXT,
	 AT(imap.admin), .check = check_uri, .allowed = "a URI such as mailto:postmaster@example.org"},
	{"imap.literals", "What mail programs may send without asking first (RFC 7888): any literal (LITERAL+), or small ones (LITERAL-).",
	 .kind = SETTING_CHOICE, AT(imap.literals), .default_text = "any", .allowed = "any|small"},
	{"imap.message_limit", "Messages that one command works on (RFC 9738); programs have to know of it. 0: any number.",
	 NUMBER(0, 100000000), AT(imap.message_limit), .default_text = "0"},
	{"imap.message_limit_for", "What imap.message_limit is for: all (MESSAGELIMIT), or APPEND and COPY only (SAVELIMIT).",
	 .kind = SETTING_CHOICE, AT(imap.message_limit_for), .default_text = "all", .allowed = "all|saving"},
	{"imap.surrogates",
	 "Whether programs that don't say that they take UTF-8 in headers get such messages rewritten (RFC 6858); else they get them as they are.",
	 .kind = SETTING_BOOL, AT(imap.surrogates), .default_text = "false"},
	{"imap.submitter", "The account as which another machine's submission server fetches what BURL names (RFC 4467: submit+).",
	 .kind = SETTING_TEXT, AT(imap.submitter), .check = check_address, .allowed = "an address"},
	{"pop3.login_delay", "Time that must pass between two log-ins of an account by POP3 (RFC 2449: LOGIN-DELAY); 0s: none.", SECONDS(0, 86400),
	 AT(pop3.login_delay_s), .default_text = "0s"},

	{"retention.change_log", "How long changes are kept for clients that synchronise; later ones begin anew.",
	 DAYS(1, 3650), AT(retention.change_log_days), .default_text = "30d"},
	{"retention.deleted", "How long expunged messages and deleted mailboxes can be brought back; 0d: not at all.", DAYS(0, 3650),
	 AT(retention.deleted_days), .default_text = "7d"},
	{"retention.expire", "Mailboxes whose messages are removed after some time; the first entry that fits counts.",
	 RECORDS(expiry_fields, config_expiry), LIST(retention.expire)},
	{"retention.trace", "How long the traces of messages are kept.", DAYS(1, 3650), AT(retention.trace_days),
	 .default_text = "30d"},
};

/* clang-format on */

const size_t setting_count = sizeof(settings) / sizeof(settings[0]);

struct slice setting_section(const struct setting *setting)
{
	struct slice name = slice_from_cstr(setting->name);
	size_t dot = slice_find_byte(name, '.');

	return dot == SLICE_NOT_FOUND ? SLICE_EMPTY : slice_sub(name, 0, dot);
}

struct slice setting_key(const struct setting *setting)
{
	struct slice name = slice_from_cstr(setting->name);
	size_t dot = slice_find_byte(name, '.');

	return dot == SLICE_NOT_FOUND ? name : slice_skip(name, dot + 1);
}

const struct setting *setting_find(struct slice section, struct slice key)
{
	for (size_t i = 0; i < setting_count; i++) {
		if (slice_eq(setting_section(&settings[i]), section) && slice_eq(setting_key(&settings[i]), key))
			return &settings[i];
	}
	return NULL;
}

bool setting_is_section(struct slice name)
{
	for (size_t i = 0; name.len && i < setting_count; i++) {
		if (slice_eq(setting_section(&settings[i]), name))
			return true;
	}
	return false;
}
