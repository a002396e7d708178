/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "file.h"

#include <stdio.h>
#include <stdlib.h>

char *file_text(const char *path)
{
    size_t length = 0, capacity = 0, got;
    char *text = NULL;
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    do {
        if (capacity - length < 65536)
            text = realloc(text, capacity = capacity * 2 + 65536);
        got = fread(text + length, 1, capacity - length - 1, file);
        length += got;
    } while (got > 0);
    text[length] = '\0';
    fclose(file);
    return text;
}
