/* check: the forms of single values. Pure functions. Private to config/. */
#pragma once

#include <stdbool.h>

#include "base/slice.h"

bool check_hostname(struct slice text);
/* Or nothing. */
bool check_listener_hostname(struct slice text);
/* "192.0.2.1:25", "[2001:db8::1]:25", ":25" */
bool check_listen_address(struct slice text);
/* Such an address, or "unix:/run/posthorn/metrics.sock". */
bool check_metrics_address(struct slice text);
/* "unix:/run/opendkim/opendkim.sock", "inet:127.0.0.1:8891" */
bool check_program_address(struct slice text);
/* "rcpt end-of-message" */
bool check_policy_stages(struct slice text);
/* "smtp submission" */
bool check_filtered_listeners(struct slice text);
/* "192.0.2.0/24", "2001:db8::/32", "192.0.2.1" */
bool check_network(struct slice text);
bool check_ip_address(struct slice text);
/* An address, or nothing. */
bool check_source_address(struct slice text);
/* "192.0.2.53", "127.0.0.1@5353" */
bool check_forwarder(struct slice text);
bool check_port(struct slice text);
/* "list.example=127.0.0.2-11*3": guard/dnslist.h */
bool check_dns_list(struct slice text);
/* "relay.example.net", "relay.example.net:587" */
bool check_smarthost(struct slice text);
/* "example.org", ".example.org", "relay.example.net:587" */
bool check_expiring_mailbox(struct slice text);
bool check_destination(struct slice text);
bool check_store_url(struct slice text);
/* "mailto:postmaster@example.org", "https://example.org/help" */
bool check_uri(struct slice text);
/* One of the characters that may stand between user and detail. */
bool check_separator(struct slice text);
bool check_mode(struct slice text);
bool check_group(struct slice text);
bool check_local_sender(struct slice text);
bool check_user(struct slice text);
/* "local@domain" */
bool check_trap(struct slice text);
/* The same, or "postmaster". */
bool check_alert_to(struct slice text);
bool check_user_not_root(struct slice text);
bool check_duration(struct slice text);
bool check_durations(struct slice text);
/* Letters, digits and "-_.". */
bool check_word(struct slice text);
/* local@domain, roughly */
bool check_address(struct slice text);
/* "application/pdf .pdf" */
bool check_converter_types(struct slice text);
/* "/usr/bin/pdftotext - -", "internal:office" */
bool check_converter_command(struct slice text);
/* "|command", "/file", "/maildir/" */
bool check_local_target(struct slice text);
/* "~/Maildir/", "/var/mail/%u" */
bool check_local_mailbox(struct slice text);
