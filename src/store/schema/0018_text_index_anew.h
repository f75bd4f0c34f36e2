/* Migration 18. The full-text index is made anew: what mime/search_text.h tells of a message has grown. Private to schema.c. */
#pragma once

#define MIGRATION_0018_TEXT_INDEX_ANEW "DELETE FROM text_posting; DELETE FROM text_segment"
