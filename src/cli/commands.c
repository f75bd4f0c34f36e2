#include "cli/commands.h"
#include "cli/message_select.h"
#include "cli/queue_select.h"

#define QUEUE_WHICH_USAGE "QUEUE-ID... | " QUEUE_SELECT_USAGE " | --all"
#define QUEUE_WHICH_HELP  QUEUE_SELECT_HELP "  --all                all there is\n\nAll that are given must fit. "

/* A row is read better as it stands. */
/* clang-format off */
const struct command commands[] = {
	{"setup",
	 "[--domain DOMAIN] [--hostname NAME] [--admin ADDRESS] [--data DIR] [--user USER] [--store URL] [--password-stdin]"
	 " | --demo DIR [--port-offset N]",
	 "make a configuration, a data folder and the first account",
	 "  --domain DOMAIN    whose mail comes here; asked for if it isn't given\n"
	 "  --hostname NAME    this server's name; default mail.DOMAIN\n"
	 "  --admin ADDRESS    the first account; default postmaster@DOMAIN\n"
	 "  --data DIR         the data folder; default /var/lib/posthorn\n"
	 "  --store URL        where everything is kept: sqlite, in the data folder (default), or postgresql://...\n"
	 "  --user USER        whose powers the server has; default posthorn (as root only)\n"
	 "  --password-stdin   the first account's password is read from standard input\n"
	 "  --demo DIR         instead: all in DIR, domain example.test, users alice and bob, ports on 127.0.0.1\n"
	 "  --port-offset N    with --demo: every port is the standard one plus N; default 10000\n\n"
	 "Nothing that exists is overwritten. Examples:\n"
	 "  posthorn setup --domain example.org --admin me@example.org\n"
	 "  posthorn setup --demo /tmp/demo && posthorn serve --config /tmp/demo/posthorn.yaml\n",
	 command_setup},

	{"domain add", "DOMAIN [--alias-of DOMAIN | --relay [--listed]]", "take mail for a domain",
	 "  --alias-of DOMAIN  all its addresses are those of that domain\n"
	 "  --relay            its mail is taken for another host (as a backup MX, or before it): see route add\n"
	 "  --listed           with --relay: for known recipients only; see recipient add\n\n"
	 "Examples:\n  posthorn domain add example.org\n  posthorn domain add example.net --alias-of example.org\n"
	 "  posthorn domain add example.com --relay --listed\n",
	 command_domain_add},
	{"domain list", "", "list the domains", "Example:\n  posthorn domain list --json\n", command_domain_list},
	{"domain set", "DOMAIN [--message-size SIZE] [--quota SIZE]", "set limits of a domain",
	 "  --message-size SIZE  the largest message for it, below limits.message_size: 10MB, none\n"
	 "  --quota SIZE         the quota of accounts that are added without one: 500MB, 5G, none\n\n"
	 "posthorn domain list shows them. Example:\n  posthorn domain set example.org --message-size 10MB --quota 2G\n",
	 command_domain_set},
	{"domain remove", "DOMAIN", "take no mail for a domain any more",
	 "Its accounts must be removed first; its aliases and listed recipients go with it. Example:\n  posthorn domain remove example.org\n", command_domain_remove},

	{"account add", "ADDRESS [--name NAME] [--quota SIZE] [--password-stdin | --hash HASH | --shared] | --batch FILE",
	 "add an account, or many",
	 "  --name NAME        for people\n"
	 "  --quota SIZE       500MB, 5G, none; default none\n"
	 "  --password-stdin   the password is the first line of standard input\n"
	 "  --hash HASH        a hash that another system made: {SSHA}..., {BLF-CRYPT}$2y$..., $6$...; - reads it\n"
	 "                     from standard input, out of the sight of others on this machine\n"
	 "  --shared           a shared mailbox: nobody's own, without a password; see mailbox share\n"
	 "  --batch FILE       many: a CSV file (- for standard input) with the columns address,password-or-hash,name,quota;\n"
	 "                     the last two may be missing, and a first line of heads is passed over\n\n"
	 "Without a password one is asked for on a terminal; elsewhere, or if nothing is typed, one is made and shown.\n"
	 "A field of the batch counts as a hash if it begins with {SCHEME} or $id$. Examples:\n"
	 "  posthorn account add alice@example.org --name 'Alice Example' --quota 5G\n"
	 "  posthorn account add --batch staff.csv\n",
	 command_account_add},
	{"account list", "[DOMAIN]", "list the accounts", "Example:\n  posthorn account list example.org\n",
	 command_account_list},
	{"account password", "ADDRESS [--password-stdin | --hash HASH]", "set an account's password",
	 "Options as for account add. Example:\n  pass show mail | posthorn account password alice@example.org "
	 "--password-stdin\n",
	 command_account_password},
	{"account quota", "ADDRESS SIZE", "set how much an account may hold",
	 "SIZE is 500MB, 5G, none. Example:\n  posthorn account quota alice@example.org 10G\n", command_account_quota},
	{"account remove", "ADDRESS [--yes]", "remove an account with all its mail",
	 "  --yes    don't ask on a terminal\n\nExample:\n  posthorn account remove alice@example.org\n",
	 command_account_remove},
	{"account enable", "ADDRESS", "let an account log in and receive again",
	 "Example:\n  posthorn account enable alice@example.org\n", command_account_enable},
	{"account may-send", "[ADDRESS [SENDER...] [--on-behalf | --remove]]", "let an account send under other addresses",
	 "  --on-behalf  as itself: the message's From is SENDER, its Sender field, which is added, the account's own\n"
	 "  --remove     not any more\n\n"
	 "SENDER is an address, or @DOMAIN: all of a domain. Their own address and aliases are theirs anyway. Without SENDER:\n"
	 "list them. Example:\n  posthorn account may-send alice@example.org office@example.org @example.net\n",
	 command_account_may_send},
	{"account disable", "ADDRESS", "let an account neither log in nor receive",
	 "Its mail stays. Example:\n  posthorn account disable alice@example.org\n", command_account_disable},

	{"alias add", "ADDRESS TARGET...", "deliver an address's mail to others",
	 "ADDRESS may be @DOMAIN: all that has no other recipient there. TARGET is an address, or local:NAME: a command or file that\n"
	 "local.targets in posthorn.yaml has under that name. Examples:\n"
	 "  posthorn alias add sales@example.org alice@example.org bob@example.net\n"
	 "  posthorn alias add tickets@example.org local:tickets\n"
	 "  posthorn alias add @example.org alice@example.org\n",
	 command_alias_add},
	{"alias list", "", "list the aliases", "Example:\n  posthorn alias list --json\n", command_alias_list},
	{"alias remove", "ADDRESS [TARGET]", "remove an alias, or one target of it",
	 "Example:\n  posthorn alias remove sales@example.org bob@example.net\n", command_alias_remove},

	{"ban add", "NETWORK [--for DURATION] [--reason TEXT]", "turn an address or network away",
	 "  --for DURATION   30m, 4h, 7d; without it: for good\n"
	 "  --reason TEXT    for whoever reads the list\n\n"
	 "Example:\n  posthorn ban add 192.0.2.0/24 --for 7d --reason 'dictionary attack'\n",
	 command_ban_add},
	{"ban list", "", "list who is turned away, and why", "Example:\n  posthorn ban list --json\n", command_ban_list},
	{"ban remove", "NETWORK", "let an address or network in again",
	 "As ban list shows it. Example:\n  posthorn ban remove 192.0.2.1\n", command_ban_remove},

	{"alias senders", "[ADDRESS [SENDER... | --everybody]]", "say who may write to an alias",
	 "SENDER is an address, @DOMAIN, or members: the alias's own targets. All others are refused. Without SENDER: list\n"
	 "them. Examples:\n  posthorn alias senders staff@example.org members boss@example.com\n"
	 "  posthorn alias senders staff@example.org --everybody\n",
	 command_alias_senders},

	{"recipient add", "ADDRESS... | --file FILE", "add known recipients of domains that are relayed",
	 "  --file FILE        one a line (- for standard input); what stands behind the address is passed over\n\n"
	 "Examples:\n  posthorn recipient add info@example.com\n  posthorn recipient add --file relay_recipients\n",
	 command_recipient_add},
	{"recipient list", "DOMAIN", "list a relayed domain's known recipients",
	 "Example:\n  posthorn recipient list example.com\n", command_recipient_list},
	{"recipient remove", "ADDRESS", "remove a known recipient of a relayed domain",
	 "Example:\n  posthorn recipient remove info@example.com\n", command_recipient_remove},

	{"route add", "PATTERN HOP [--sender] [--user USER --password-file FILE] [--tls LEVEL]", "send certain mail by a certain way",
	 "  --sender              PATTERN is of senders, not of recipients\n"
	 "  --user USER           log in there; the password is the file's first line, and is kept sealed: only the relay can open it\n"
	 "  --password-file FILE\n"
	 "  --tls LEVEL           none, opportunistic (when offered), encrypted (or no mail), required (a verified certificate), or\n"
	 "                        dane; with --user required, else by tls-policy and by what the host demands\n\n"
	 "PATTERN: user@example.org, news-*@example.org (*: any text), example.org, .example.org (all domains below it), or *\n"
	 "(all mail). HOP: a host, HOST:PORT,\n"
	 "[192.0.2.1]:PORT; lmtp:HOST[:PORT]; direct (the domain's own mail exchangers), or mx:DOMAIN (those of DOMAIN); or\n"
	 "error:\"5.1.1 TEXT\" (it bounces), retry:\"4.7.1 TEXT\" (it waits), discard: (it is thrown away). The most precise pattern\n"
	 "counts; those of recipients before those of senders, then *, then relay.smarthost. Examples:\n"
	 "  posthorn route add example.com inside.example.com:25\n"
	 "  posthorn route add news@example.org bulk.example.net:587 --sender --user news --password-file /root/bulk\n",
	 command_route_add},
	{"route list", "", "list the routes", "Example:\n  posthorn route list --json\n", command_route_list},
	{"route remove", "PATTERN [--sender]", "remove a route", "Example:\n  posthorn route remove example.com\n",
	 command_route_remove},

	{"tls-policy add", "DESTINATION LEVEL", "demand TLS of a destination",
	 "DESTINATION: a domain, .example.org (all domains below it), or a route's host. LEVEL: none, opportunistic, encrypted,\n"
	 "required (a certificate that is trusted and names the host), or dane. A route's own level counts before it. Example:\n"
	 "  posthorn tls-policy add partner.example required\n",
	 command_tls_policy_add},
	{"tls-policy list", "", "list what is demanded", "Example:\n  posthorn tls-policy list --json\n", command_tls_policy_list},
	{"tls-policy remove", "DESTINATION", "demand nothing of it any more", "Example:\n  posthorn tls-policy remove partner.example\n",
	 command_tls_policy_remove},

	{"rewrite add", "sender|recipient ADDRESS NEW", "put one envelope address in another's place",
	 "ADDRESS and NEW may be @DOMAIN. The message's own fields stay. Examples:\n"
	 "  posthorn rewrite add sender @host.example.org @example.org\n"
	 "  posthorn rewrite add recipient old@example.com new@example.com\n",
	 command_rewrite_add},
	{"rewrite list", "", "list what is rewritten", "Example:\n  posthorn rewrite list\n", command_rewrite_list},
	{"rewrite remove", "sender|recipient ADDRESS", "rewrite it no more",
	 "Example:\n  posthorn rewrite remove sender @host.example.org\n", command_rewrite_remove},

	{"import aliases", "FILE [--format aliases|virtual|transport] [--domain DOMAIN]", "import another mail server's aliases or routes",
	 "  --format FORMAT    aliases: as /etc/aliases has them (default); virtual, transport: Postfix's maps\n"
	 "  --domain DOMAIN    of names that have none; default smtp.origin, or hostname\n\n"
	 "What is there already stays; what can't be imported (other transports; programs and files that local.targets in posthorn.yaml\n"
	 "doesn't have) is told with its line. Files that are included are read now. It can be run again. Examples:\n"
	 "  posthorn import aliases /etc/aliases --domain example.org\n"
	 "  posthorn import aliases /etc/postfix/virtual --format virtual\n",
	 command_import_aliases},

	{"copy add", "sender|recipient ADDRESS TARGET", "send a blind copy of somebody's mail to another address",
	 "ADDRESS may be @DOMAIN. Nobody sees that there is a copy: heed the law. Example:\n"
	 "  posthorn copy add sender @example.org archive@example.net\n",
	 command_copy_add},
	{"copy list", "", "list whose mail is copied", "Example:\n  posthorn copy list\n", command_copy_list},
	{"copy remove", "sender|recipient ADDRESS [TARGET]", "copy it no more",
	 "Example:\n  posthorn copy remove sender @example.org\n", command_copy_remove},

	{"import maildir", "PATH --account ADDRESS [--delete]", "import a Maildir with its folders",
	 "  --account ADDRESS   whose it becomes\n"
	 "  --delete            what was imported and isn't there any more is expunged here too\n\n"
	 "Maildir++ (.Folder) and folders (Folder/cur) are understood; Dovecot's uids, UIDVALIDITY, keywords and subscriptions are\n"
	 "kept, so that clients have nothing to download again. Run again, it brings what is new and changes flags that changed there.\n"
	 "Example:\n  posthorn import maildir /var/vmail/example.org/alice/Maildir --account alice@example.org\n",
	 command_import_maildir},
	{"import mbox", "FILE|DIR --account ADDRESS [--into MAILBOX] [--delete]", "import an mbox file, or a folder of them",
	 "  --account ADDRESS   whose it becomes\n"
	 "  --into MAILBOX      where a file goes; default: a mailbox of the file's name (\"mbox\" and \"inbox\": INBOX)\n"
	 "  --delete            what was imported and isn't there any more is expunged here too\n\n"
	 "Run again, it brings what is new. Examples:\n"
	 "  posthorn import mbox /var/mail/alice --account alice@example.org --into INBOX\n"
	 "  posthorn import mbox ~/Mail --account alice@example.org\n",
	 command_import_mbox},
	{"import imap",
	 "--host HOST [--port N] [--tls implicit|starttls|none] (--account ADDRESS --user USER (--password-file FILE |"
	 " --password-stdin) | --batch FILE) [--exclude PATTERN]... [--delete]",
	 "import accounts from any IMAP server",
	 "  --host HOST           the server\n"
	 "  --port N              default 993, with starttls or none 143\n"
	 "  --tls KIND            implicit (default; starttls if the port is 143), starttls, or none\n"
	 "  --ca-file FILE        certificates that are trusted; default the system's\n"
	 "  --any-certificate     take any certificate: whoever is between can read all\n"
	 "  --account ADDRESS     whose it becomes here\n"
	 "  --user USER           who it is there\n"
	 "  --password-file FILE  its first line is the password there; - or --password-stdin: standard input\n"
	 "  --batch FILE          many: a CSV file (- for standard input) with the columns address,user,password\n"
	 "  --exclude PATTERN     mailboxes that don't come: * stands for anything, % for anything but /; may be given often\n"
	 "  --delete              what was imported and isn't there any more is expunged here too\n\n"
	 "Folders, flags, dates, subscriptions come along; uids and UIDVALIDITY stay where the mailbox here was empty, so that clients\n"
	 "have nothing to download again. Run again, it brings what is new and changes flags that changed there. Examples:\n"
	 "  posthorn import imap --host old.example.org --account alice@example.org --user alice --password-file pw\n"
	 "  posthorn import imap --host old.example.org --batch staff.csv --exclude 'Trash*'\n",
	 command_import_imap},
	{"export maildir", "DIR --account ADDRESS", "write an account's mail as a Maildir",
	 "Maildir++ as Dovecot has it, with flags, keywords, dates, uids and subscriptions. DIR is new or empty. Example:\n"
	 "  posthorn export maildir /tmp/alice --account alice@example.org\n",
	 command_export_maildir},
	{"export mbox", "DIR --account ADDRESS", "write an account's mail as mbox files",
	 "A file for each mailbox (mboxrd; what is below Lists is in Lists.sbd), with flags, keywords, dates and uids. DIR is new or\n"
	 "empty. Example:\n  posthorn export mbox /tmp/alice --account alice@example.org\n",
	 command_export_mbox},

	{"mailbox list", "ADDRESS [--deleted]", "list an account's mailboxes",
	 "  --deleted   those that were deleted and can be brought back\n\nExample:\n  posthorn mailbox list alice@example.org\n",
	 command_mailbox_list},
	{"mailbox create", "ADDRESS NAME", "make a mailbox",
	 "NAME has / between levels. Example:\n  posthorn mailbox create alice@example.org Lists/posthorn\n",
	 command_mailbox_create},
	{"mailbox remove", "ADDRESS NAME", "remove a mailbox with its messages",
	 "It can be brought back for some days (the setting retention.deleted). Example:\n"
	 "  posthorn mailbox remove alice@example.org Lists/posthorn\n",
	 command_mailbox_remove},
	{"mailbox rename", "ADDRESS NAME NEW-NAME", "rename a mailbox, with those below it",
	 "Example:\n  posthorn mailbox rename alice@example.org Lists Old/Lists\n", command_mailbox_rename},
	{"mailbox undelete", "ADDRESS NAME [--as NAME]", "bring a deleted mailbox back with its messages",
	 "  --as NAME   under another name\n\nExample:\n  posthorn mailbox undelete alice@example.org Lists/posthorn\n",
	 command_mailbox_undelete},
	{"mailbox rights", "ADDRESS [NAME]", "list who may do what with an account's mailboxes",
	 "Example:\n  posthorn mailbox rights sales@example.org\n", command_mailbox_rights},
	{"mailbox share", "ADDRESS NAME | ADDRESS --all, then WHO RIGHTS", "let others use a mailbox",
	 "  --all   all mailboxes of the account, and those that will be made in it\n\n"
	 "WHO is an address, a group ($NAME), @DOMAIN, authenticated or anyone (the accounts of this domain), or one of these\n"
	 "behind a -, to take rights away that they would have otherwise. RIGHTS is none, read (lrs), write (lrswite), all, or\n"
	 "letters: l sees it, r reads, s keeps what it has seen, w sets flags, i puts messages in, p posts (kept for\n"
	 "programs that ask; mail is taken from all), k makes mailboxes below, x removes it, t marks messages as deleted, e\n"
	 "expunges, a gives rights; after a + or -: these more or less. The account's own rights are all, always. Before arguments that begin with a - stands a --. Examples:\n"
	 "  posthorn mailbox share sales@example.org --all '$team' write\n"
	 "  posthorn mailbox share alice@example.org Projects bob@example.org +i\n"
	 "  posthorn mailbox share -- alice@example.org Projects -bob@example.org w\n",
	 command_mailbox_share},
	{"group add", "NAME [ADDRESS...]", "make a group of accounts, or add to it",
	 "A group is given rights on mailboxes as $NAME. Example:\n  posthorn group add team alice@example.org bob@example.org\n",
	 command_group_add},
	{"group list", "[NAME]", "list groups with their members", "Example:\n  posthorn group list team\n", command_group_list},
	{"group remove", "NAME [ADDRESS...]", "take accounts out of a group, or remove it with its rights",
	 "Example:\n  posthorn group remove team bob@example.org\n", command_group_remove},
	{"message list", "ADDRESS [--mailbox NAME] [--search KEYS] [--max N] | ADDRESS --deleted [--max N]", "list a mailbox's messages",
	 "  --mailbox NAME   default INBOX\n"
	 "  --search KEYS    those that IMAP's SEARCH finds: 'UNSEEN FROM bob'\n"
	 "  --max N          the newest N; default 1000\n"
	 "  --deleted        those of all mailboxes that were deleted and can be brought back\n\n"
	 "Example:\n  posthorn message list alice@example.org --deleted\n",
	 command_message_list},
	{"message show", "ADDRESS UID [--mailbox NAME]", "print a message as it is",
	 "  --mailbox NAME   default INBOX\n\nExample:\n  posthorn message show alice@example.org 17\n",
	 command_message_show},
	{"message add", "ADDRESS [FILE] [--mailbox NAME] [--set FLAGS]", "put a message into a mailbox",
	 "  FILE             the message; default standard input\n"
	 "  --mailbox NAME   default INBOX\n"
	 "  --set FLAGS      '\\Seen \\Flagged Work'\n\nExample:\n  posthorn message add alice@example.org letter.eml --set '\\Seen'\n",
	 command_message_add},
	{"message copy", MESSAGE_SELECT_USAGE " --to NAME", "copy messages to another mailbox",
	 MESSAGE_SELECT_HELP "  --to NAME        the mailbox\n\nExample:\n  posthorn message copy alice@example.org 17 18 --to Work\n",
	 command_message_copy},
	{"message move", MESSAGE_SELECT_USAGE " --to NAME", "move messages to another mailbox",
	 MESSAGE_SELECT_HELP "  --to NAME        the mailbox\n\nExample:\n"
			     "  posthorn message move alice@example.org --search 'SENTBEFORE 1-Jan-2026' --to Archive\n",
	 command_message_move},
	{"message flag", MESSAGE_SELECT_USAGE " [--set FLAGS] [--clear FLAGS]", "set or clear messages' flags and keywords",
	 MESSAGE_SELECT_HELP "  --set FLAGS      '\\Seen \\Flagged Work'\n"
			     "  --clear FLAGS    likewise\n\nExample:\n"
			     "  posthorn message flag alice@example.org --search 'FROM bob' --set 'Work'\n",
	 command_message_flag},
	{"message remove", MESSAGE_SELECT_USAGE, "remove messages; message undelete brings them back for some days",
	 MESSAGE_SELECT_HELP "\nExample:\n  posthorn message remove alice@example.org --mailbox Trash --search 'SAVEDBEFORE 1-Oct-2026'\n",
	 command_message_remove},
	{"message undelete", "ADDRESS (UID... | --all) [--mailbox NAME] [--into NAME]", "bring deleted messages back",
	 "  --mailbox NAME   where they were; default INBOX\n"
	 "  --into NAME      where they come; default the same\n"
	 "  --all            all that were deleted there\n\n"
	 "UIDs are those of message list --deleted. They come back as new messages. Example:\n"
	 "  posthorn message undelete alice@example.org 17 18\n",
	 command_message_undelete},

	{"session list", "[ADDRESS]", "list who is logged in",
	 "By IMAP, POP3 and submission, since when and from where. Example:\n  posthorn session list alice@example.org\n",
	 command_session_list},
	{"session end", "ADDRESS", "end an account's sessions",
	 "Mail programs log in again: to keep them out, see account disable and account password, which end sessions too.\n\n"
	 "Example:\n  posthorn session end alice@example.org\n",
	 command_session_end},
	{"imap", "ADDRESS", "an IMAP session on standard input and output, without a log-in",
	 "For mail programs that start one by themselves (tunnel), and for looking. Example:\n"
	 "  printf 'a SELECT INBOX\\r\\nb LOGOUT\\r\\n' | posthorn imap alice@example.org\n",
	 command_imap},

	{"queue list", "[QUEUE-ID] " QUEUE_SELECT_USAGE " [--max N]", "list what waits to be sent",
	 QUEUE_SELECT_HELP "  --max N              at most so many recipients\n\n"
	 "Examples:\n  posthorn queue list --domain example.net\n  posthorn queue list --older 2h --reason greylist --json\n",
	 command_queue_list},
	{"queue show", "QUEUE-ID [--message]", "show a waiting message's recipients and header",
	 "  --message            instead: the whole message, as it will be sent\n\n"
	 "Examples:\n  posthorn queue show 4C7XPGH2T0ZQ6W3K\n  posthorn queue show 4C7XPGH2T0ZQ6W3K --message > letter.eml\n",
	 command_queue_show},
	{"queue stats", QUEUE_SELECT_USAGE " [--by-sender] [--max N]", "count what waits, by destination and age",
	 "A column holds what came in up to that many minutes ago, and is older than the column before it.\n\n"
	 QUEUE_SELECT_HELP "  --by-sender          by the senders' domains instead\n"
	 "  --max N              so many lines, the largest ones; default 20\n\n"
	 "Example:\n  posthorn queue stats --by-sender --state waiting\n",
	 command_queue_stats},
	{"queue retry", QUEUE_WHICH_USAGE, "try to send now",
	 QUEUE_WHICH_HELP "Example:\n  posthorn queue retry --domain example.net\n", command_queue_retry},
	{"queue hold", QUEUE_WHICH_USAGE, "keep from being sent",
	 QUEUE_WHICH_HELP "An attempt that runs is let end. Example:\n  posthorn queue hold --sender alice@example.org\n",
	 command_queue_hold},
	{"queue release", QUEUE_WHICH_USAGE, "undo queue hold",
	 QUEUE_WHICH_HELP "Example:\n  posthorn queue release --all\n", command_queue_release},
	{"queue schedule", QUEUE_WHICH_USAGE " --at TIME", "set when to send",
	 QUEUE_WHICH_HELP "  --at TIME            now, how far ahead (90s, 30m, 2h, 5d), or 2026-11-25T10:53 (UTC)\n\n"
	 "For what users have scheduled, and what waits because of sending.undo: \"now\" sends it at once.\n"
	 "Example:\n  posthorn queue schedule 4C7XPGH2T0ZQ6W3K --at 2h\n", command_queue_schedule},
	{"queue bounce", QUEUE_WHICH_USAGE " [--text TEXT] [--yes]", "return to its senders now",
	 QUEUE_WHICH_HELP "  --text TEXT          what the sender reads as the reason\n"
	 "  --yes                don't ask on a terminal\n\n"
	 "What is being tried at this moment is left alone, and told of. Example:\n"
	 "  posthorn queue bounce --domain exmaple.net --text 'the domain is misspelt'\n",
	 command_queue_bounce},
	{"queue remove", QUEUE_WHICH_USAGE " [--yes]", "drop from the queue, without a bounce",
	 QUEUE_WHICH_HELP "  --yes                don't ask on a terminal\n\nExample:\n  posthorn queue remove 4C7XPGH2T0ZQ6W3K\n",
	 command_queue_remove},

	{"trace", "QUEUE-ID | MESSAGE-ID | ADDRESS | [--sender ADDRESS] [--recipient ADDRESS] [--since TIME] [--until TIME] [--max N]",
	 "tell where messages went and why",
	 "  --sender ADDRESS     messages from that sender; @DOMAIN: of any in that domain; <>: bounces\n"
	 "  --recipient ADDRESS  messages to that recipient (as it is after aliases), or @DOMAIN\n"
	 "  --address ADDRESS    from or to that address, as with ADDRESS alone\n"
	 "  --since TIME         that came in since then: 90s, 30m, 2h, 5d ago, or 2026-11-25T10:53 (UTC)\n"
	 "  --until TIME         that came in before\n"
	 "  --max N              the newest N messages; default 20\n\n"
	 "Examples:\n  posthorn trace '<1234@example.net>'\n  posthorn trace --recipient bob@example.net --since 2h\n",
	 command_trace},
	{"tls-report", "DAY | DOMAIN | DAY DOMAIN", "tell how TLS with other hosts went, and what they demanded",
	 "Prints a report in JSON, as RFC 8460 has it, for each domain and day (UTC), one a line. Examples:\n"
	 "  posthorn tls-report 2026-11-25\n  posthorn tls-report example.net | jq .\n",
	 command_tls_report},
	{"log", "[FILE | -] [--id QUEUE-ID] [--message-id ID] [--address ADDRESS] [--event PATTERN] [--role ROLE] [--since TIME] [--until TIME]",
	 "show what the log says about a message or an address",
	 "FILE holds Posthorn's log, logfmt or JSON; - is standard input; without it systemd's journal is read.\n\n"
	 "  --id QUEUE-ID        all about that message, and its bounce\n"
	 "  --message-id ID      likewise, by its Message-ID\n"
	 "  --address ADDRESS    all about that address and the messages from and to it; @DOMAIN: any of that domain\n"
	 "  --event PATTERN      only these events: smtp.refused, 'smtp.*'\n"
	 "  --role ROLE          only that role's lines\n"
	 "  --since TIME         only from then on: 90s, 30m, 2h, 5d ago, or 2026-11-25T10:53 (UTC)\n"
	 "  --until TIME         only before\n\n"
	 "Examples:\n  posthorn log --address bob@example.net --since 2h\n  posthorn log /var/log/posthorn.log --event 'relay.*'\n",
	 command_log},
	{"status", "", "tell whether the server, its roles and the store are well",
	 "Exits with 0 if all is well, else with 1. Example:\n  posthorn status --json\n", command_status},
	{"check-config", "[--print]", "check the configuration",
	 "  --print    write it out with all defaults\n\nExample:\n  posthorn check-config --config ./posthorn.yaml\n",
	 command_check_config},
	{"check", "[ADDRESS | --all] [--repair]", "look for contradictions in what is kept, and repair them",
	 "  --all      everything: all accounts, the queue, the database file (default)\n"
	 "  --repair   put right what can be: counters, numbers, references; what had to be done is told\n\n"
	 "Reads all that it checks, which may take minutes; the server may be running. Exits with 0 if all is sound, else with 1.\n"
	 "Examples:\n  posthorn check\n  posthorn check alice@example.org --repair\n",
	 command_check},
	{"index list", "[ADDRESS]", "show how far the full-text index is",
	 "Messages in the index, its size, and messages in whose attachments SEARCH looks. What isn't in it yet is looked into by each\n"
	 "search. Example:\n  posthorn index list\n",
	 command_index_list},
	{"index rebuild", "ADDRESS | --all", "make the full-text index anew",
	 "  --all    of all accounts\n\n"
	 "The index and what was read in attachments are thrown away; the running server makes them again, in the background. After an\n"
	 "upgrade of a converter, for instance. Example:\n  posthorn index rebuild alice@example.org\n",
	 command_index_rebuild},
	{"help", "[COMMAND | settings]", "tell about a command, or about all settings", "Example:\n  posthorn help settings\n",
	 command_help},
};
/* clang-format on */

const size_t command_count = sizeof(commands) / sizeof(commands[0]);
