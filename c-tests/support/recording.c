/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "recording.h"

#include "directory.h"
#include "file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char recordings[64], transcript[128];

void recordings_make(void)
{
    directory_make(recordings, sizeof recordings);
}

void recordings_remove(void)
{
    directory_remove(recordings);
}

qmp_options *recording_to(const char *file)
{
    qmp_options *options = qmp_options_new();
    snprintf(transcript, sizeof transcript, "%s/%s", recordings, file);
    CHECK_STATUS(qmp_options_set_record(options, transcript), QMP_OK);
    return options;
}

qmp_client *record_from(const char *address, qmp_options *options)
{
    qmp_client *client = NULL;
    CHECK_STATUS(qmp_connect(address, options, PATIENCE_MS, NULL, &client, NULL), QMP_OK);
    return client;
}

char *next_line(char **rest, long long *ms)
{
    long long now = -1;
    int start = 0;
    char *line = strsep(rest, "\n");
    if (!line || sscanf(line, "{\"ms\": %lld, %n", &now, &start) != 1 || start == 0)
        return line;
    CHECK(now >= *ms);
    *ms = now;
    return line + start;
}

void check_transcript(const char *const *lines)
{
    long long ms = 0;
    char *text = file_text(transcript), *rest = text, *line;
    CHECK(text != NULL);
    CHECK_STR(next_line(&rest, &ms), "{\"transcript\": 1, \"library\": \"" VERSION "\"}");
    for (; *lines; lines++) {
        size_t same = strlen(*lines) - strlen("…");
        line = next_line(&rest, &ms);
        if (!line || strcmp(*lines + same, "…") != 0 || strncmp(line, *lines, same) != 0)
            CHECK_STR(line, *lines);
    }
    CHECK_STR(next_line(&rest, &ms), "");
    CHECK(rest == NULL);
    free(text);
}
