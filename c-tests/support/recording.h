/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Clients that are recorded, and what must stand in their transcripts. */
#ifndef RECORDING_H
#define RECORDING_H

#include "client.h"

/* A directory for transcripts, and the transcript that recording_to named last. */
extern char recordings[64], transcript[128];
void recordings_make(void);
void recordings_remove(void);

qmp_options *recording_to(const char *file);
qmp_client *record_from(const char *address, qmp_options *options);

/* The next line of a transcript without its time, which never runs backwards. */
char *next_line(char **rest, long long *ms);

/* Checks what follows the first line, up to a NULL; "…" at the end of a line stands for any rest. */
void check_transcript(const char *const *lines);

/* The lines of a handshake with a scripted server, and of closing. */
#define GREETED                                                                                    \
    "\"received\": {\"QMP\":{\"version\":{\"qemu\":{\"micro\":0,\"minor\":2,\"major\":7},"          \
    "\"package\":\"scripted\"},\"capabilities\":[\"oob\"]}}}",                                     \
    "\"sent\": {\"execute\":\"qmp_capabilities\",\"id\":…", "\"received\": {\"return\":{},\"id\":…"
#define CLOSED "\"ended\": \"the connection was closed here\"}"

#endif
