/* What a node has in hand is found without reading the whole queue. Never change a migration that was released: add the next. */
#pragma once

#define MIGRATION_0006_QUEUE_CARE "CREATE INDEX queue_node ON queue_recipient (node) WHERE length(node) > 0"
