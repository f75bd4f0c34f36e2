/* letter: the message as Unix programs have it: lines end with LF, and before it stands what final delivery adds (RFC 5321 section 4.4):
 * Return-Path, X-Original-To, Delivered-To; for commands and mbox files the envelope line "From SENDER DATE" before all of it. Pure. */
#pragma once

#include "local/local.h"

enum { LETTER_FROM = 1, LETTER_QUOTED = 2 /* lines like ">From " get one more ">" */ };

/* Has a message this recipient's Delivered-To already? Then it goes round in circles. */
MUST_CHECK bool letter_was_here(struct slice bytes, struct slice recipient);
void letter_write(struct buf *out, const struct local_request *request, int64_t now_ms, unsigned flags, struct slice bytes);
