/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A private directory for sockets, short enough for their 107 bytes. */
#ifndef DIRECTORY_H
#define DIRECTORY_H

#include <stddef.h>

void directory_make(char *path, size_t size);
void directory_remove(const char *path); /* with the files in it */

#endif
