/* keeper: what is done beside the sending: counts of TLS results go to the store, MTA-STS policies are refreshed. One thread. */
#pragma once

struct keeper;
struct relay;

struct keeper *keeper_start(struct relay *relay);
/* Ends the thread, after a last time. */
void keeper_stop(struct keeper *keeper);
